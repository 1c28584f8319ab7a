//go:build !race

package watch

// slowdown is 1 where there is no race detector.
const slowdown = 1
