package main

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// A table is one of Markdown, laid out so that it can be read as it is. In the
// header a colon at the end of a cell puts its column to the right.
type table [][]string

func (t table) String() string {
	var b strings.Builder
	rows := make(table, len(t)) // as they are written
	for n, row := range t {
		for _, cell := range row {
			if n == 0 {
				cell = strings.TrimSuffix(cell, ":")
			}
			rows[n] = append(rows[n], strings.ReplaceAll(cell, "|", `\|`))
		}
	}
	widths := make([]int, len(t[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell), 3)
		}
	}
	for n, row := range rows {
		for i, cell := range row {
			gap := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if right(t[0][i]) {
				fmt.Fprintf(&b, "| %s%s ", gap, cell)
			} else {
				fmt.Fprintf(&b, "| %s%s ", cell, gap)
			}
		}
		b.WriteString("|\n")
		if n > 0 {
			continue
		}
		for i, cell := range t[0] {
			end := "-"
			if right(cell) {
				end = ":"
			}
			b.WriteString("|" + strings.Repeat("-", widths[i]+1) + end)
		}
		b.WriteString("|\n")
	}
	return b.String()
}

func right(header string) bool { return strings.HasSuffix(header, ":") }

// table has a row for each contender: its values, and their ratios to the base's.
func (r *result) table() table {
	header := []string{"", r.variant, r.unit + ", median:", "middle half:", "ratio:", "middle half:"}
	if r.variant == "" {
		header = append(header[:1], header[2:]...)
	}
	t := table{header}
	for _, c := range r.contenders {
		row := []string{c.name}
		if r.variant != "" {
			row = append(row, c.variant)
		}
		s := spreadOf(r.values[c.key])
		row = append(row, r.number(s.median), r.number(s.q1)+"–"+r.number(s.q3))
		if c.key == r.base {
			row = append(row, "1", "")
		} else {
			s := spreadOf(ratios(r.values[c.key], r.values[r.base]))
			row = append(row, ratioNumber(s.median), ratioNumber(s.q1)+"–"+ratioNumber(s.q3))
		}
		t = append(t, row)
	}
	return t
}

// number is a value with as many digits as it deserves.
func (r *result) number(value float64) string {
	if r.unit == "s" {
		return fmt.Sprintf("%.2f", value)
	}
	return fmt.Sprintf("%.1f", value)
}

func ratioNumber(ratio float64) string { return fmt.Sprintf("%.2f", ratio) }

// A promise is a bound of a contender's value: of its ratio to another's or, where
// there is none, of the value itself.
type promise struct {
	text   string
	of, to string // keys of contenders
	atMost float64
}

// held are the rows of what was promised about the group.
func (r *result) held() (rows table) {
	for _, p := range r.promises {
		values, number, unit := r.values[p.of], r.number, " "+r.unit
		if p.to != "" {
			values, number, unit = ratios(values, r.values[p.to]), ratioNumber, ""
		}
		s := spreadOf(values)
		verdict := "yes"
		if s.median > p.atMost {
			verdict = "no"
		}
		rows = append(rows, []string{p.text, number(p.atMost) + unit, number(s.median), number(s.q1) + "–" + number(s.q3), verdict})
	}
	return rows
}
