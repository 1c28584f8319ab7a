package main

import "slices"

// A spread is where the middle half of some values lies: a quarter of them is
// below q1, half below the median, a quarter above q3.
type spread struct{ q1, median, q3 float64 }

// spreadOf needs at least one value.
func spreadOf(values []float64) spread {
	sorted := slices.Sorted(slices.Values(values))
	return spread{quantile(sorted, 0.25), quantile(sorted, 0.5), quantile(sorted, 0.75)}
}

// quantile lies between the two values next to it where it is none of them, in
// proportion (Hyndman and Fan's definition 7, which R and NumPy use).
func quantile(sorted []float64, p float64) float64 {
	at := p * float64(len(sorted)-1)
	i := int(at)
	if i == len(sorted)-1 {
		return sorted[i]
	}
	return sorted[i] + (at-float64(i))*(sorted[i+1]-sorted[i])
}

// ratios are those of values of the same rounds. What the machine did besides met
// both, so that they vary less than the values, and less than a ratio of medians
// would from one bench to the next.
func ratios(of, to []float64) []float64 {
	quotients := make([]float64, len(of))
	for i := range of {
		quotients[i] = of[i] / to[i]
	}
	return quotients
}
