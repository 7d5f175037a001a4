// Package stage has what every play with real processes needs: programs that are killed and started again (Process), a
// private PostgreSQL that crashes (Database), and a proxy before it that does to COMMITs what networks do (Proxy). Packages
// storm and soak play on it.
//
// Nothing it starts outlives the program that started it: on Linux the kernel sees to that.
package stage
