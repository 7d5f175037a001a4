//go:build !linux

package main

import (
	"errors"
	"net/netip"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

type requests struct {
	data []byte
	ends []int
}

type load struct {
	addr         netip.AddrPort
	requests     requests
	conns        int
	rate         float64
	warm, length time.Duration
	want         int
}

type outcome struct {
	answered, all int64
	others        map[string]int64
	took          time.Duration
	latency       *hdrhistogram.Histogram
	conns         int
}

func (l load) run() (outcome, error) {
	return outcome{}, errors.New("the load generator needs Linux's epoll")
}
