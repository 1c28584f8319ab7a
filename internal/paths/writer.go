package paths

import (
	"bytes"
	"cmp"
	"io"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"
)

// A Writer passes on what is written to it, with the paths that its Map knows under
// their other names. A path counts where it begins a word, after a quote, a bracket, a
// colon, an equals sign, a colour's escape sequence, an escaped newline as JSON has it,
// or file://, and ends with a whole name. All else passes as it is, and at once, but for
// the last few bytes where they may be the begin of a path: these wait for what follows,
// for Patience at most. Output with a NUL byte is no text: from there on, and in what was
// written at once with it, nothing is mapped.
type Writer struct {
	// Patience is how long the begin of a path waits for its end, 0 for
	// DefaultPatience.
	Patience time.Duration

	// Terminal says that what is written is for a terminal that a program may draw on.
	// Where a person edits a line, or a program draws, a path of another length would be
	// in the way. So only lines that have an end are mapped, and one that has none yet
	// waits from its first path on; and all is left as it is on the alternate screen and
	// between a prompt and its answer (xterm's modes 47, 1047, 1049 and 2004).
	Terminal bool

	to  io.Writer
	m   *Map
	mu  sync.Mutex
	err error

	before []byte // the end of what has passed, as it came
	held   []byte // not passed on yet
	out    []byte // room for what is written
	drawn  int    // the modes that are on
	exact  bool   // nothing is mapped any more
	timer  *time.Timer
	due    time.Time // when held has waited long enough
}

// DefaultPatience is more than what lies between two reads of a path that was written at
// once, on a busy machine, and less than a person notices.
const DefaultPatience = 100 * time.Millisecond

// looksBack is how far a path's surroundings are looked at: a name of a host in a URL,
// or some colours, fit in.
const looksBack = 256

// NewWriter returns a Writer that writes to to. It may be called by one goroutine at a
// time. Close it when nothing more comes.
func NewWriter(to io.Writer, m *Map) *Writer { return &Writer{to: to, m: m} }

// Write passes p on. The error is that of the writer below, also of what an earlier
// Write has left to be written.
func (w *Writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	text := p
	if len(w.held) > 0 {
		text = append(w.held, p...)
	}
	w.pass(text, false)
	if w.err != nil {
		return 0, w.err
	}
	return len(p), nil
}

// Exact has all that comes from now on passed as it is.
func (w *Writer) Exact() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.exact = true
}

// Close writes what still waits: what ends here is whole. It does not close the writer
// below.
func (w *Writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pass(w.held, true)
	return w.err
}

// wait has what is held written as it is when its time is over.
func (w *Writer) wait() {
	patience := cmp.Or(w.Patience, DefaultPatience)
	w.due = time.Now().Add(patience)
	if w.timer != nil {
		w.timer.Reset(patience)
		return
	}
	w.timer = time.AfterFunc(patience, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if early := time.Until(w.due); early > 0 { // a Write came just now
			w.timer.Reset(early)
			return
		}
		w.turn(w.modes(w.held), len(w.held))
		w.write(w.held)
		w.passed(w.held)
		w.held = nil
	})
}

// pass writes text, which all comes after what was passed before, but for an end that
// may be the begin of a path. With last nothing follows.
func (w *Writer) pass(text []byte, last bool) {
	if w.timer != nil {
		w.timer.Stop()
	}
	w.exact = w.exact || bytes.IndexByte(text, 0) >= 0
	if w.exact {
		w.write(text)
		w.held = nil
		return
	}
	modes := w.modes(text)
	w.out = w.out[:0]
	done, end := 0, len(text) // what is in out, and what will be
	for at := 0; ; {
		i := bytes.Index(text[at:], w.m.needle)
		if i < 0 {
			w.turn(modes, end)
			if start := w.begun(text, at); start < end && !last && w.drawn == 0 {
				if _, ok := w.begins(text, start); ok {
					end = start
				}
			}
			break
		}
		at += i + 1
		if modes = w.turn(modes, at-1); w.drawn > 0 {
			continue
		}
		pairs, ok := w.begins(text, at-1)
		if !ok {
			continue
		}
		pair, more := find(pairs, text[at-1:], last)
		if more || w.Terminal && !last && pair.From != "" && bytes.IndexByte(text[at:], '\n') < 0 {
			end = at - 1
			break
		}
		if pair.From != "" {
			w.out = append(w.out, text[done:at-1]...)
			done = at - 1 + len(pair.From)
			at = done
			if pair.To != "/" || at == len(text) || text[at] != '/' {
				w.out = append(w.out, pair.To...)
			}
		}
	}
	if done == 0 {
		w.write(text[:end])
	} else {
		w.write(append(w.out, text[done:end]...))
	}
	w.passed(text[:end])
	w.held = bytes.Clone(text[end:])
	if len(w.held) > 0 {
		w.wait()
	}
}

func (w *Writer) write(p []byte) {
	if len(p) > 0 && w.err == nil {
		_, w.err = w.to.Write(p)
	}
}

// passed remembers the end of what came.
func (w *Writer) passed(text []byte) {
	if len(text) < looksBack {
		text = append(w.before, text...)
	}
	w.before = append(w.before[:0], text[max(0, len(text)-looksBack):]...)
}

// begun is where the end of text, from at on, may be the begin of a path; else its length.
func (w *Writer) begun(text []byte, at int) int {
	for start := max(at, len(text)-len(w.m.needle)+1); start < len(text); start++ {
		if bytes.HasPrefix(w.m.needle, text[start:]) {
			return start
		}
	}
	return len(text)
}

// begins tells whether a path may begin at text[at], and which pairs it may be of.
func (w *Writer) begins(text []byte, at int) ([]Pair, bool) {
	before := text[max(0, at-looksBack):at]
	if at < looksBack && len(w.before) > 0 {
		before = slices.Concat(w.before, before)
	}
	before = withoutColors(before)
	if len(before) == 0 {
		return w.m.plain, true
	}
	switch b := before[len(before)-1]; {
	case b <= ' ', b == 0x7f, strings.IndexByte("\"'`([{<>=:,;|&!#*@", b) >= 0:
		return w.m.plain, true
	case b >= utf8.RuneSelf:
		r, _ := utf8.DecodeLastRune(before)
		return w.m.plain, !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != utf8.RuneError
	case b == '\\': // the end of a terminal's string (ECMA-48)
		return w.m.plain, bytes.HasSuffix(before, []byte("\x1b\\"))
	case strings.IndexByte("nrtbf", b) >= 0 && escaped(before[:len(before)-1]):
		return w.m.plain, true
	}
	return w.m.inURL, endsInHost(before)
}

// escaped tells whether a character that follows text is escaped by its end.
func escaped(text []byte) bool {
	n := 0
	for n < len(text) && text[len(text)-1-n] == '\\' {
		n++
	}
	return n%2 == 1
}

// endsInHost tells whether text ends in file:// and a host's name, which may be empty.
func endsInHost(text []byte) bool {
	at := bytes.LastIndex(text, []byte("://"))
	return at >= 0 && bytes.HasSuffix(text[:at], []byte("file")) && !bytes.ContainsFunc(text[at+3:], func(r rune) bool {
		return !strings.ContainsRune(".-", r) && !unicode.IsLetter(r) && !unicode.IsDigit(r)
	})
}

// withoutColors is text without the colours at its end: SGR, and EL, which grep puts
// behind each (ECMA-48), as they are or escaped as JSON and Python's repr do it. It is
// nothing where another sequence is there: what follows stands somewhere else.
func withoutColors(text []byte) []byte {
	for {
		at := len(text) - 1
		if at < 0 || text[at] < '@' || text[at] > '~' {
			return text
		}
		last := text[at]
		for at--; at >= 0 && ' ' <= text[at] && text[at] <= '?'; at-- {
		}
		if at < 0 || text[at] != '[' {
			return text
		}
		i := slices.IndexFunc(escapes, func(esc string) bool { return bytes.HasSuffix(text[:at], []byte(esc)) })
		switch {
		case i < 0:
			return text
		case last != 'm' && last != 'K':
			return nil
		}
		text = text[:at-len(escapes[i])]
	}
}

// escapes are the ways to write ESC.
var escapes = []string{"\x1b", `\u001b`, `\u001B`, `\x1b`, `\x1B`, `\033`}

// A mode is an escape sequence that begins or ends a time in which a program draws.
type mode struct {
	end int // of the sequence, in the text
	bit int // which mode
	on  bool
}

var modeSequence = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\x1b\[\?([0-9;]+)([hl])`) })

// modes are those that text sets, also where one began in what was passed before.
func (w *Writer) modes(text []byte) (modes []mode) {
	if !w.Terminal {
		return nil
	}
	const longest = 32 // of a sequence: many modes at once
	before := w.before[max(0, len(w.before)-longest):]
	all := slices.Concat(before, text)
	for _, at := range modeSequence().FindAllSubmatchIndex(all, -1) {
		end := at[1] - len(before)
		if end <= 0 {
			continue
		}
		for number := range bytes.SplitSeq(all[at[2]:at[3]], []byte(";")) {
			bit := 0
			switch string(number) {
			case "47", "1047", "1049":
				bit = 1
			case "2004":
				bit = 2
			}
			modes = append(modes, mode{end, bit, all[at[4]] == 'h'})
		}
	}
	return modes
}

// turn turns the modes on and off that end up to a place, and returns the others.
func (w *Writer) turn(modes []mode, at int) []mode {
	for len(modes) > 0 && modes[0].end <= at {
		if modes[0].on {
			w.drawn |= modes[0].bit
		} else {
			w.drawn &^= modes[0].bit
		}
		modes = modes[1:]
	}
	return modes
}
