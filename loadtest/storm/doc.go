// Package storm plays a sale while everything that can die dies, and keeps the histories that prove whether anything was
// sold twice or lost.
//
// It owns a private PostgreSQL, a proxy before it, and two real fairgate-core processes; its clients hold, repeat, look,
// release, walk away and count over HTTP, on tiers so small that they sell out and come back all the time. Meanwhile
//
//   - cores are killed with SIGKILL and started again, one every few seconds;
//   - the database is stopped immediately, or one of its processes is killed, so that it recovers from its log;
//   - connections are cut at COMMIT: before it reaches the server, or after, before the answer comes back;
//   - COMMITs are rolled back and answered with 40001, or carried out and answered with 40003.
//
// Every core and the clients keep a history (core/inventory/history); `ticketctl prove` judges them together. The clients
// repeat whatever was left open until it is answered, and the last word of the history is what the stock rows hold.
package storm
