package watch

// A writing is what is known of the writing of a file.
type writing uint8

const (
	unknown writing = iota
	over            // no program has it open for writing any more, and there is something in it
	goingOn         // one has
)

// writing asks about the file that was found changed, if it is a single one. What is
// new or gone may be a step of a save, which is over when the file is back.
func (v *view) writing() writing {
	c, ok := v.found.only()
	if !ok || v.native == nil || c.Op != Written && c.Op != Created || v.remote(c.Path) != "" {
		return unknown
	}
	w := writingOf(c.Path)
	if w == over && c.Op == Created {
		return unknown
	}
	return w
}
