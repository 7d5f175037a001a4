package loadtest

import (
	"bytes"
	"fmt"
	mrand "math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// readyWithin is how long a process may take to answer on a machine that does much else.
const readyWithin = 30 * time.Second

// child is one program of a stage. It may be launched again after it was killed; what it prints goes on in the same file.
type child struct {
	t                                 *testing.T
	name, program, config, ready, log string

	cmd  *exec.Cmd
	gone chan struct{} // closed when it has ended
}

// running reports whether it was launched and has not ended.
func (p *child) running() bool {
	if p.gone == nil {
		return false
	}
	select {
	case <-p.gone:
		return false
	default:
		return true
	}
}

// launch starts the process unless it runs already. Use await before relying on it.
func (p *child) launch() {
	p.t.Helper()
	if p.running() {
		return
	}
	out, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		p.t.Fatal(err)
	}
	defer out.Close()
	cmd := exec.Command(p.program, "--config", p.config)
	cmd.Stdout, cmd.Stderr = out, out
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "FAIRGATE_") && !strings.HasPrefix(v, "DATABASE_URL=") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	dieWithParent(cmd.SysProcAttr)
	if err := fork(cmd); err != nil {
		p.t.Fatalf("start %s: %v", p.name, err)
	}
	p.cmd, p.gone = cmd, make(chan struct{})
	go func(gone chan struct{}) {
		_ = cmd.Wait() // how it ended is for its log to tell
		close(gone)
	}(p.gone)
}

// await returns when the process says that it is ready.
func (p *child) await() {
	p.t.Helper()
	client := &http.Client{Timeout: 2 * time.Second}
	for until := time.Now().Add(readyWithin); time.Now().Before(until); time.Sleep(20 * time.Millisecond) {
		if !p.running() {
			break
		}
		resp, err := client.Get(p.ready)
		if err != nil {
			continue
		}
		resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return
		}
	}
	p.t.Fatalf("%s is not ready", p.name) // its log is printed at the end
}

// kill ends the process as a crash does, and returns when it is gone.
func (p *child) kill() {
	p.t.Helper()
	if !p.running() {
		p.t.Fatalf("%s has ended before it was killed", p.name)
	}
	if err := p.cmd.Process.Kill(); err != nil {
		p.t.Fatalf("kill %s: %v", p.name, err)
	}
	<-p.gone
}

// leave asks the process to stop, as an operator does, and returns when it is gone.
func (p *child) leave() {
	p.t.Helper()
	if !p.running() {
		p.t.Fatalf("%s has ended before it was asked to", p.name)
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatalf("stop %s: %v", p.name, err)
	}
	<-p.gone
}

// end is for the end of the test: the process is gone afterwards. The end of its log helps when the test has failed.
func (p *child) end() {
	if p.running() {
		_ = p.cmd.Process.Kill() // fails only when it has just ended
		<-p.gone
	}
	if !p.t.Failed() || p.gone == nil {
		return
	}
	text, err := os.ReadFile(p.log)
	if err != nil {
		return
	}
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	p.t.Logf("the log of %s ends:\n%s", p.name, bytes.Join(lines[max(0, len(lines)-25):], []byte("\n")))
}

// forks is the one thread that starts processes: the kernel ends them with the thread that forked them, so it must live as long as
// the tests do.
var forks = sync.OnceValue(func() chan<- func() {
	work := make(chan func())
	go func() {
		runtime.LockOSThread()
		for f := range work {
			f()
		}
	}()
	return work
})

func fork(cmd *exec.Cmd) error {
	started := make(chan error, 1)
	forks() <- func() { started <- cmd.Start() }
	return <-started
}

// built holds the programs of the tree, made once per test binary and removed by TestMain.
var built struct {
	once sync.Once
	dir  string
	err  error
}

// programs is the folder with fairgate-core, fairgate-edge and paysim as the tree has them now.
func programs(t *testing.T) string {
	t.Helper()
	built.once.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "fairgate-stage-*"); built.err != nil {
			return
		}
		cmd := exec.Command("go", "build", "-o", built.dir+string(filepath.Separator), "./core/cmd/fairgate-core", "./edge/cmd/fairgate-edge", "./loadtest/paysim/cmd/paysim")
		cmd.Dir = ".."
		if out, err := cmd.CombinedOutput(); err != nil {
			built.err = fmt.Errorf("%w\n%s", err, out)
		}
	})
	if built.err != nil {
		t.Fatalf("build the programs: %v", built.err)
	}
	return built.dir
}

func removePrograms() {
	if built.dir != "" {
		os.RemoveAll(built.dir)
	}
}

// ports are those given to stages of this test binary: never the same one twice, so stages side by side cannot get in each other's
// way. They lie below those of outgoing connections, and apart from those of private databases.
var ports struct {
	mu    sync.Mutex
	given map[int]bool
}

const firstPort, lastPort = 12000, 20000

// freePort is an address of loopback on which nobody listens.
func freePort(t *testing.T) string {
	t.Helper()
	ports.mu.Lock()
	defer ports.mu.Unlock()
	if ports.given == nil {
		ports.given = make(map[int]bool)
	}
	for range 500 {
		port := firstPort + mrand.IntN(lastPort-firstPort)
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		if ports.given[port] {
			continue
		}
		l, err := net.Listen("tcp", address)
		if err != nil {
			continue
		}
		l.Close()
		ports.given[port] = true
		return address
	}
	t.Fatalf("no free port between %d and %d", firstPort, lastPort)
	return ""
}
