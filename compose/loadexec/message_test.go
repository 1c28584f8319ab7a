package loadexec

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"testing"

	"github.com/toxrun/docker-toxrun/compose"
)

// fill sets all there is in v, to values that occur but once. Strings have bytes
// that are no UTF-8, and what JSON has to escape.
func fill(v reflect.Value, next *int) {
	*next++
	switch v.Kind() {
	case reflect.String:
		v.SetString(fmt.Sprintf("%d \xff\xfe\x00<ü>\n\"\\\u2028\ufffd", *next))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(1<<62 + int64(*next)) // a float64 has no room for it
	case reflect.Uint32:
		v.SetUint(1<<31 + uint64(*next))
	case reflect.Uint64:
		v.SetUint(1<<63 + uint64(*next))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), next)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(v.Index(0), next)
		fill(v.Index(1), next)
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key, next)
		fill(value, next)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), next)
		}
	case reflect.Interface:
		v.Set(reflect.ValueOf(fmt.Errorf("%d", *next)))
	default:
		panic(fmt.Sprintf("a %v: see that it crosses, then add it here", v.Type()))
	}
}

// cross sends a message as a process would.
func cross[T any](t *testing.T, message T) T {
	t.Helper()
	text, err := encode(message)
	if err != nil {
		t.Fatal(err)
	}
	var got T
	if err := decode(bytes.NewReader(text), &got); err != nil {
		t.Fatalf("%v, in %s", err, text)
	}
	return got
}

func TestEveryFieldCrosses(t *testing.T) {
	t.Parallel()
	var query compose.Query
	var model compose.Model
	next := 0
	fill(reflect.ValueOf(&query).Elem(), &next)
	fill(reflect.ValueOf(&model).Elem(), &next)
	for _, q := range []compose.Query{query, {}, {Environ: []string{}}} {
		if got := cross(t, request{q}); !reflect.DeepEqual(got.Query, q) {
			t.Errorf("%#v\narrives as %#v", q, got.Query)
		}
	}
	without := compose.Model{Services: []compose.Service{{}, {Config: &compose.Config{}}}}
	for _, m := range []compose.Model{model, {}, without} {
		got, err := cross(t, newAnswer(&m, nil)).result()
		if err != nil || !reflect.DeepEqual(*got, m) {
			t.Errorf("%#v\narrives as %#v, %v", m, got, err)
		}
	}
}

func TestEveryFieldOfAnErrorCrosses(t *testing.T) {
	t.Parallel()
	next := 0
	for _, err := range []error{&compose.NoFileError{}, &compose.LoadError{}, &compose.ConfigError{}} {
		fill(reflect.ValueOf(err).Elem(), &next)
		if e, ok := err.(*compose.LoadError); ok {
			e.Err = errors.New("two\nlines of \xff") // its text is what crosses
		}
		_, got := cross(t, newAnswer(nil, err)).result()
		if !reflect.DeepEqual(got, err) || got.Error() != err.Error() {
			t.Errorf("%#v\narrives as %#v", err, got)
		}
	}
	for _, text := range []string{"about the options", "", wrapped, wrapped + "\xff"} {
		if _, got := cross(t, newAnswer(nil, errors.New(text))).result(); got == nil || got.Error() != text {
			t.Errorf("%q arrives as %v", text, got)
		}
	}
}

// The caller's values stay what they are.
func TestEncodeChangesNothing(t *testing.T) {
	t.Parallel()
	q := compose.Query{Files: []string{"\xff"}}
	if _, err := encode(request{q}); err != nil || q.Files[0] != "\xff" {
		t.Errorf("files %q, %v", q.Files, err)
	}
}

// A field more, or another name, is another version.
func TestVersionIsMadeOfTheMessages(t *testing.T) {
	t.Parallel()
	seen := map[string]reflect.Type{}
	for _, v := range []any{
		struct{ A []struct{ B string } }{},
		struct {
			A []struct {
				B string
				C bool
			}
		}{},
		struct{ A []struct{ B int } }{},
		struct{ A []*struct{ B string } }{},
		struct{ C []struct{ B string } }{},
		struct {
			A []struct {
				B string `json:"b"`
			}
		}{},
	} {
		var b bytes.Buffer
		describe(&b, reflect.TypeOf(v))
		if other, ok := seen[b.String()]; ok {
			t.Errorf("%T is described as %v", v, other)
		}
		seen[b.String()] = reflect.TypeOf(v)
	}
}
