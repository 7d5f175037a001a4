package main

import (
	"testing"
	"time"
)

func TestTheBenchmarkRunsAndMeasuresSomething(t *testing.T) {
	if err := run(1, 20*time.Millisecond, 2, 20); err != nil {
		t.Fatal(err)
	}
	var f figures
	if err := f.crypto(1, time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if f.PassVerifyNS <= 0 || f.TokenMintNS <= 0 || f.TokenVerifyNS <= 0 {
		t.Errorf("%+v", f)
	}
}

func TestTheMedianIsTheMiddleOne(t *testing.T) {
	if got := median([]float64{9, 1, 5}); got != 5 {
		t.Errorf("the median of 9, 1 and 5 is %v", got)
	}
}
