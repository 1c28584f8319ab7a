package standby

import "github.com/toxrun/docker-toxrun/execproxy"

// A lesson is what is known of a program whose runs teach.
type lesson struct {
	execproxy.Lesson
	other bool // it is no Python program
}

// lessonLimit is of how many programs there are lessons, far more than one works with.
const lessonLimit = 64

// lesson is that of the program that a client runs.
func (k *keeper) lesson(want Want) *lesson {
	key := want.lessonKey()
	l := k.lessons[key]
	if l == nil {
		if l = new(lesson); len(k.lessons) >= lessonLimit {
			clear(k.lessons)
		}
		k.lessons[key] = l
	}
	return l
}
