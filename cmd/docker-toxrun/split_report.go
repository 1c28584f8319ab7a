package main

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/toxrun/docker-toxrun/internal/lanes"
)

// A splitReport is what --report writes.
type splitReport struct {
	Began        string      `json:"began"` // RFC 3339, with milliseconds
	Milliseconds int64       `json:"milliseconds"`
	Status       int         `json:"status"` // as toxrun's own
	Jobs         []jobReport `json:"jobs"`
}

type jobReport struct {
	Name         string `json:"name"`
	State        string `json:"state"`            // ended, lost, canceled, waiting: not begun
	Lane         string `json:"lane,omitempty"`   // SERVICE-N, or ENGINE/SERVICE-N
	Engine       string `json:"engine,omitempty"` // its name, where there are several
	Status       *int   `json:"status,omitempty"`
	Began        string `json:"began,omitempty"`
	Milliseconds int64  `json:"milliseconds"`
	Tries        int    `json:"tries"`
}

const reportTime = "2006-01-02T15:04:05.000Z07:00"

func (s *splitting) report(began time.Time, took time.Duration, status int, outcomes []lanes.Outcome) splitReport {
	engines := map[string]string{}
	for _, l := range s.lanes {
		if l.target.engine.others {
			engines[l.name] = l.target.engine.name
		}
	}
	r := splitReport{Began: began.Format(reportTime), Milliseconds: took.Milliseconds(), Status: status}
	for _, o := range outcomes {
		j := jobReport{Name: o.Job, State: o.State.String(), Lane: o.Lane, Engine: engines[o.Lane], Milliseconds: o.Took.Milliseconds(), Tries: o.Tries}
		if o.State == lanes.Ended {
			j.Status = &o.Status
		}
		if !o.Begun.IsZero() {
			j.Began = o.Begun.Format(reportTime)
		}
		r.Jobs = append(r.Jobs, j)
	}
	return r
}

// openReport opens the file of --report, which keeps what is in it until there is a
// report. Without a name it is nil.
func openReport(name string) (*os.File, error) {
	if name == "" {
		return nil, nil
	}
	return os.OpenFile(name, os.O_WRONLY|os.O_CREATE, 0o666)
}

// write writes JSON or, to a file whose name ends in .xml, JUnit's XML.
func (r splitReport) write(file *os.File) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if strings.HasSuffix(strings.ToLower(file.Name()), ".xml") {
		text, err = xml.MarshalIndent(r.junit(), "", "  ")
		text = append([]byte(xml.Header), text...)
	}
	if err != nil {
		return err
	}
	if info, err := file.Stat(); err == nil && info.Mode().IsRegular() {
		if err := file.Truncate(0); err != nil {
			return err
		}
	}
	if _, err := file.Write(append(text, '\n')); err != nil {
		return err
	}
	return file.Close()
}

// The elements of JUnit's XML that its readers agree on.
type (
	junitSuites struct {
		XMLName xml.Name     `xml:"testsuites"`
		Suites  []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name      string      `xml:"name,attr"`
		Tests     int         `xml:"tests,attr"`
		Failures  int         `xml:"failures,attr"`
		Errors    int         `xml:"errors,attr"`
		Skipped   int         `xml:"skipped,attr"`
		Time      string      `xml:"time,attr"` // seconds
		Timestamp string      `xml:"timestamp,attr"`
		Cases     []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Name    string        `xml:"name,attr"`
		Lane    string        `xml:"classname,attr"`
		Time    string        `xml:"time,attr"`
		Failure *junitProblem `xml:"failure,omitempty"`
		Error   *junitProblem `xml:"error,omitempty"`
		Skipped *junitProblem `xml:"skipped,omitempty"`
	}
	junitProblem struct {
		Message string `xml:"message,attr"`
	}
)

func (r splitReport) junit() junitSuites {
	seconds := func(milliseconds int64) string { return fmt.Sprintf("%.3f", float64(milliseconds)/1000) }
	suite := junitSuite{Name: "docker toxrun --split", Tests: len(r.Jobs), Time: seconds(r.Milliseconds), Timestamp: r.Began}
	for _, j := range r.Jobs {
		c := junitCase{Name: j.Name, Lane: j.Lane, Time: seconds(j.Milliseconds)}
		switch {
		case j.State == lanes.Waiting.String():
			suite.Skipped++
			c.Skipped = &junitProblem{"not begun"}
		case j.State == lanes.Canceled.String():
			suite.Skipped++
			c.Skipped = &junitProblem{"canceled"}
		case j.Status == nil:
			suite.Errors++
			c.Error = &junitProblem{"lost with its container"}
		case *j.Status != 0:
			suite.Failures++
			c.Failure = &junitProblem{fmt.Sprintf("exit status %d", *j.Status)}
		}
		suite.Cases = append(suite.Cases, c)
	}
	return junitSuites{Suites: []junitSuite{suite}}
}
