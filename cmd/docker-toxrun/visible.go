package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// hidden tells whether r may do something to a terminal, or change the order in
// which the text around it is shown.
func hidden(r rune) bool {
	return unicode.In(r, unicode.Cc, unicode.Bidi_Control, unicode.Zl, unicode.Zp)
}

// visible is text of others, the Engine's for example, as it may go to a terminal:
// what is hidden, and bytes that are not UTF-8, are escaped as in a Go string.
func visible(text string) string {
	if utf8.ValidString(text) && !strings.ContainsFunc(text, hidden) {
		return text
	}
	var b strings.Builder
	for len(text) > 0 {
		r, size := utf8.DecodeRuneInString(text)
		char := text[:size]
		if hidden(r) || r == utf8.RuneError && size == 1 {
			quoted := fmt.Sprintf("%+q", char)
			char = quoted[1 : len(quoted)-1]
		}
		b.WriteString(char)
		text = text[size:]
	}
	return b.String()
}

// newJSON is an encoder to w. What json leaves hidden in a string is escaped, too: a
// person may be reading.
func newJSON(w io.Writer) *json.Encoder { return json.NewEncoder(visibleJSON{w}) }

// A visibleJSON is written whole values of JSON, as an Encoder does. Outside of
// strings they have nothing hidden but line feeds.
type visibleJSON struct{ io.Writer }

func (v visibleJSON) Write(p []byte) (int, error) {
	text := string(p)
	if strings.ContainsFunc(text, func(r rune) bool { return r != '\n' && hidden(r) }) {
		var b strings.Builder
		for _, r := range text {
			if r != '\n' && hidden(r) {
				fmt.Fprintf(&b, `\u%04x`, r)
			} else {
				b.WriteRune(r)
			}
		}
		text = b.String()
	}
	if _, err := io.WriteString(v.Writer, text); err != nil {
		return 0, err
	}
	return len(p), nil
}

// A visibleLines is written whole lines, as a log.Logger does.
type visibleLines struct{ io.Writer }

func (v visibleLines) Write(p []byte) (int, error) {
	if _, err := io.WriteString(v.Writer, visible(strings.TrimSuffix(string(p), "\n"))+"\n"); err != nil {
		return 0, err
	}
	return len(p), nil
}
