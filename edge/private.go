package edge

import (
	"fmt"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/VictoriaMetrics/metrics"
)

// newPrivate makes the operators' server.
func (s *Server) newPrivate() *http.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", s.ready)
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		s.counts.set.WritePrometheus(w)
		metrics.WriteProcessMetrics(w)
	})
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, MaxHeaderBytes: 16 << 10}
}

// ready tells whether this node should be sent buyers: it has heard of core once and is not stopping. A node in doubt
// stays ready, for telling people to wait is its job.
func (s *Server) ready(w http.ResponseWriter, _ *http.Request) {
	switch {
	case s.stopping.Load():
		http.Error(w, "stopping", http.StatusServiceUnavailable)
	case !s.core.enrolled() && !s.heard.Load():
		http.Error(w, "not enrolled at core yet", http.StatusServiceUnavailable)
	case !s.heard.Load():
		http.Error(w, "no news of core yet", http.StatusServiceUnavailable)
	case s.doubt.Load():
		fmt.Fprintln(w, "ready, in doubt: core is silent and everybody waits")
	default:
		fmt.Fprintln(w, "ready")
	}
}
