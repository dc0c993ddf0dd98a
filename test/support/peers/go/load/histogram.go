package main

import "math/bits"

const (
	subBits = 7 // 128 buckets an octave: a value is off by at most 1/256 of itself
	sub     = 1 << subBits
	octaves = 40 - subBits // up to 2^40 ns, 18 minutes
)

// histogram counts durations in nanoseconds, log-linear as HdrHistogram does.
type histogram struct {
	counts [sub * (octaves + 1)]uint32
	total  uint64
	sum    float64
	max    int64
}

func (h *histogram) record(ns int64) {
	if ns < 0 {
		ns = 0
	}
	h.counts[bucketOf(ns)]++
	h.total++
	h.sum += float64(ns)
	if ns > h.max {
		h.max = ns
	}
}

// bucketOf: values below 2*sub have a bucket each; above, the top subBits bits after the leading one choose it.
func bucketOf(ns int64) int {
	if ns < 2*sub {
		return int(ns)
	}
	shift := bits.Len64(uint64(ns)) - 1 - subBits
	if shift >= octaves {
		return sub*(octaves+1) - 1
	}
	return shift<<subBits + int(ns>>shift)
}

// middleOf is the value in the middle of a bucket.
func middleOf(bucket int) float64 {
	if bucket < 2*sub {
		return float64(bucket)
	}
	shift := bucket>>subBits - 1
	return (float64(bucket-shift<<subBits) + 0.5) * float64(int64(1)<<shift)
}

// quantile in nanoseconds, 0 when nothing was recorded; never above the largest value seen.
func (h *histogram) quantile(q float64) float64 {
	rank := uint64(q*float64(h.total) + 0.999999)
	var seen uint64
	for bucket, count := range h.counts {
		seen += uint64(count)
		if seen >= rank && count > 0 {
			return min(middleOf(bucket), float64(h.max))
		}
	}
	return float64(h.max)
}

// summary is the form in which a histogram is reported, milliseconds.
type summary struct {
	P50  float64 `json:"p50Ms"`
	P90  float64 `json:"p90Ms"`
	P99  float64 `json:"p99Ms"`
	P999 float64 `json:"p999Ms"`
	Max  float64 `json:"maxMs"`
	Mean float64 `json:"meanMs"`
}

func (h *histogram) summary() summary {
	ms := func(ns float64) float64 { return float64(int64(ns)) / 1e6 }
	mean := 0.0
	if h.total > 0 {
		mean = h.sum / float64(h.total)
	}
	return summary{
		ms(h.quantile(0.5)), ms(h.quantile(0.9)), ms(h.quantile(0.99)), ms(h.quantile(0.999)), ms(float64(h.max)), ms(mean),
	}
}
