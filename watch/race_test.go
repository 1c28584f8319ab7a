//go:build race

package watch

// slowdown is by how much the race detector slows what the tests measure.
const slowdown = 5
