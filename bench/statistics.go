package main

import "slices"

// median is the middle value, between the two middle ones if there are two.
// There must be at least one.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	half := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[half]
	}
	return (sorted[half-1] + sorted[half]) / 2
}

// ratio says how many times as fast one contestant is as another.
type ratio struct {
	medians   float64 // of the medians
	low, high float64 // of the pairs that took turns
}

// compare divides the peer's seconds by ours.
func compare(ours, peer []float64) ratio {
	r := ratio{medians: median(peer) / median(ours), low: peer[0] / ours[0], high: peer[0] / ours[0]}
	for i := range ours {
		r.low, r.high = min(r.low, peer[i]/ours[i]), max(r.high, peer[i]/ours[i])
	}
	return r
}
