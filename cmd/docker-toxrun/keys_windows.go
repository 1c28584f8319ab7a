package main

// keys are not read: ^C ends a watch.
func (t *terminal) keys() (pressed <-chan byte, mode func(on bool)) { return nil, func(bool) {} }
