package main

import (
	"slices"
	"testing"
)

// The quartiles are those that R's quantile() and NumPy's percentile() give.
func TestSpread(t *testing.T) {
	for _, test := range []struct {
		values []float64
		want   spread
	}{
		{[]float64{7}, spread{7, 7, 7}},
		{[]float64{1, 2}, spread{1.25, 1.5, 1.75}},
		{[]float64{3, 1, 2}, spread{1.5, 2, 2.5}},
		{[]float64{4, 3, 2, 1}, spread{1.75, 2.5, 3.25}},
		{[]float64{5, 1, 3, 4, 2}, spread{2, 3, 4}},
		{[]float64{1, 1, 1, 1, 1000}, spread{1, 1, 1}},
	} {
		given := slices.Clone(test.values)
		if got := spreadOf(test.values); got != test.want {
			t.Errorf("spreadOf(%v) = %v, want %v", test.values, got, test.want)
		}
		if !slices.Equal(test.values, given) {
			t.Errorf("spreadOf has put %v in order: ratios need the rounds' own", given)
		}
	}
}

// A machine that is slow for one round shows in the times and not in the ratios.
func TestRatiosAreOfTheSameRound(t *testing.T) {
	ours, theirs := []float64{1, 10, 2}, []float64{2, 20, 4}
	if got, want := spreadOf(ratios(ours, theirs)), (spread{0.5, 0.5, 0.5}); got != want {
		t.Errorf("ratios(%v, %v) have the spread %v, want %v", ours, theirs, got, want)
	}
}
