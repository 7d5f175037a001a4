// Package notify owns the mails that people get: the outbox in which they wait (Queue), the words in which they are written (templates, in
// English, Spanish and German), and the handing over to a mail server (Mailer).
//
// It refuses to send inside a database transaction, to put an address of a person into a log, and whatever could end a header. It does not
// know what an order is: whoever wants something told queues a Message in the transaction that makes it so, and a Composer of the message's
// kind, given by the program, loads what there is to say when the mail is sent. So a late mail tells the truth of now, and one that has
// lost its reason is not sent.
//
// # A mail's life
//
//	Queue ──▶ ready ──claim──▶ ready, leased ──server took it──▶ sent
//	            ▲                 │  │  │  └── the composer: nothing to say any more ──▶ moot
//	            │                 │  │  └── refused for good: 5xx for the recipient or the content ──▶ bounced (counted, listed)
//	            │  4xx: backed    │  └── attempts used up, or too old ──▶ dead (counted, listed, logged)
//	            └─ off, jittered ─┤
//	            └─ lease ran out ─┘   (the process died: any other sends it again)
//	bounced, dead ── an operator ──▶ ready
//
// A mail is sent at least once. When a process dies after the server took one and before that is written, or the connection breaks while
// the answer is on its way, it is sent again with the same Message-ID, by which servers and mail programs know it. The same key is never
// two mails.
//
// A server that cannot be reached, or that refuses us and not a mail (signing in, MAIL FROM, 421), costs no mail an attempt: the process
// leaves it alone for a while and mails wait, until they are too old. Bounces that servers report later by mail go to the sender's mailbox
// and are not read.
//
// # Data
//
// The table has the addresses. The data of a mail, which may be a one-time code, is emptied once it is sent, and, of a mail that is of use
// for a while only (Within), whenever it ends. Texts of errors are kept without addresses.
//
// # Concurrency
//
// Any number of processes may run a Mailer on one database. Run is called once per process, and returns when its context has ended and the
// mails under way are settled. Queue may be called from anywhere.
package notify
