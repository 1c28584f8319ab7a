package loadexec

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/toxrun/docker-toxrun/compose"
)

// A request is one message to the program.
type request struct{ Query compose.Query }

// An answer is what load.Model has returned: one of the fields.
type answer struct {
	Model  *compose.Model
	NoFile *compose.NoFileError
	Config *compose.ConfigError
	Load   *loadError
	Error  string // any other
}

// A loadError is a compose.LoadError. Of the error in it, which is a
// library's, the text crosses.
type loadError struct {
	Dir     string
	Files   []string
	Project string
	Text    string
}

func newAnswer(m *compose.Model, err error) answer {
	switch err := err.(type) {
	case nil:
		return answer{Model: m}
	case *compose.NoFileError:
		return answer{NoFile: err}
	case *compose.ConfigError:
		return answer{Config: err}
	case *compose.LoadError:
		return answer{Load: &loadError{err.Dir, err.Files, err.Project, err.Err.Error()}}
	}
	return answer{Error: err.Error()}
}

// result is the way back to what load.Model has returned.
func (a answer) result() (*compose.Model, error) {
	switch {
	case a.Model != nil:
		return a.Model, nil
	case a.NoFile != nil:
		return nil, a.NoFile
	case a.Config != nil:
		return nil, a.Config
	case a.Load != nil:
		return nil, &compose.LoadError{Dir: a.Load.Dir, Files: a.Load.Files, Project: a.Load.Project, Err: errors.New(a.Load.Text)}
	}
	return nil, errors.New(a.Error)
}

// An envelope is what a message crosses in.
type envelope struct {
	Version string
	Message json.RawMessage
}

// errOther is the end of an exchange between programs that don't belong
// together.
var errOther = errors.New("it is of another build, with other messages")

// meaning is raised when a message means something else in the same fields.
const meaning = 1

// version is the same in programs that understand each other: it is made of
// what the messages consist of, so that a field that is new in one of them
// can't be overlooked by the other.
func version() string {
	var b strings.Builder
	fmt.Fprintln(&b, meaning)
	describe(&b, reflect.TypeFor[request]())
	describe(&b, reflect.TypeFor[answer]())
	sum := sha256.Sum256([]byte(b.String()))
	return hex.EncodeToString(sum[:8])
}

// describe writes what a type consists of.
func describe(w io.Writer, t reflect.Type) {
	fmt.Fprint(w, t.Kind(), " ")
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice:
		describe(w, t.Elem())
	case reflect.Map:
		describe(w, t.Key())
		describe(w, t.Elem())
	case reflect.Struct:
		for f := range t.Fields() {
			fmt.Fprintf(w, "%s %q ", f.Name, f.Tag)
			describe(w, f.Type)
		}
		fmt.Fprintln(w)
	}
}

// encode makes a message of a request or an answer.
func encode[T any](message T) ([]byte, error) {
	text, err := json.Marshal(texts(reflect.ValueOf(message), wrap).Interface())
	if err != nil {
		return nil, err
	}
	return json.Marshal(envelope{version(), text})
}

// refusal is what the other side takes for errOther, whichever build it is of.
func refusal() ([]byte, error) { return json.Marshal(envelope{Version: version()}) }

// decode reads a message. It leaves what follows it.
func decode[T any](in io.Reader, message *T) error {
	var e envelope
	if err := json.NewDecoder(in).Decode(&e); err != nil {
		return fmt.Errorf("no message: %w", err)
	}
	if e.Version != version() {
		return errOther
	}
	if err := json.Unmarshal(e.Message, message); err != nil {
		return fmt.Errorf("no message: %w", err)
	}
	var wrong error
	*message = texts(reflect.ValueOf(*message), func(s string) string {
		s, err := unwrap(s)
		wrong = errors.Join(wrong, err)
		return s
	}).Interface().(T)
	return wrong
}

// texts gives a copy of v with all the strings in it changed by f.
func texts(v reflect.Value, f func(string) string) reflect.Value {
	c := reflect.New(v.Type()).Elem()
	c.Set(v)
	switch {
	case v.Kind() == reflect.String:
		c.SetString(f(v.String()))
	case v.Kind() == reflect.Pointer && !v.IsNil():
		c.Set(reflect.New(v.Type().Elem()))
		c.Elem().Set(texts(v.Elem(), f))
	case v.Kind() == reflect.Slice && !v.IsNil():
		c.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
		for i := range v.Len() {
			c.Index(i).Set(texts(v.Index(i), f))
		}
	case v.Kind() == reflect.Map && !v.IsNil():
		c.Set(reflect.MakeMap(v.Type()))
		for key, value := range v.Seq2() {
			c.SetMapIndex(texts(key, f), texts(value, f))
		}
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			c.Field(i).Set(texts(v.Field(i), f))
		}
	}
	return c
}

// wrapped is in front of a string that JSON can't carry as it is: it would
// change bytes that are no UTF-8, as the name of a file may have them.
const wrapped = "\x00base64:"

func wrap(s string) string {
	if utf8.ValidString(s) && !strings.HasPrefix(s, wrapped) {
		return s
	}
	return wrapped + base64.StdEncoding.EncodeToString([]byte(s))
}

func unwrap(s string) (string, error) {
	code, ok := strings.CutPrefix(s, wrapped)
	if !ok {
		return s, nil
	}
	text, err := base64.StdEncoding.DecodeString(code)
	return string(text), err
}
