//go:build !linux

package watch

// limitOf returns the limit that err came from, and what to do.
func limitOf(err error) (limit, hint string) {
	return err.Error(), "ulimit -n 65536"
}
