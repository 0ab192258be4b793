package strictjson

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

func TestCheck(t *testing.T) {
	exact := Rules{Depth: 3, Keys: 4}
	folded := Rules{Depth: 3, Keys: 4, FoldCase: true, Exact: "annotations"}
	both := []Rules{exact, folded}
	for _, c := range []struct {
		rules []Rules
		text  string
		want  string // part of the error; empty if there is none
	}{
		{both, `{"a":1,"b":{"a":2},"c":[{"a":3}]}`, ""},
		{both, `[1,1,"a","a",null,true]`, ""},
		{both, ` "text" `, ""},
		{both, `123456789012345678901234567890e999`, ""},
		{both, `{"a":1,"a":1}`, `"a" is there twice`},
		{both, `{"a":1,"\u0061":1}`, `"a" is there twice`},
		{both, `{"x":[{"a":1,"b":2,"a":3}]}`, `"a" is there twice`},
		{[]Rules{exact}, `{"a":1,"A":1}`, ""},
		{[]Rules{folded}, `{"a":1,"A":1}`, `"A" is there twice`},
		{[]Rules{folded}, `{"size":1,"ſize":1}`, `"ſize" is there twice`},
		{[]Rules{folded}, `{"key":1,"\u212aey":1}`, "\"\u212aey\" is there twice"},
		{[]Rules{folded}, `{"annotations":{"a":1,"A":1}}`, ""},
		{[]Rules{folded}, `{"annotations":{"a":1,"a":1}}`, `"a" is there twice`},
		{[]Rules{folded}, `{"annotations":{"a":{"b":1,"B":1}}}`, `"B" is there twice`},
		{[]Rules{folded}, `{"annotations":1,"Annotations":1}`, `"Annotations" is there twice`},
		{[]Rules{folded}, `{"Annotations":{"a":1,"A":1}}`, `"A" is there twice`},
		{both, `[[[1]]]`, ""},
		{both, `[[[[1]]]]`, "nested deeper than 3"},
		{both, `[{"a":[{}]}]`, "nested deeper than 3"},
		{both, strings.Repeat("[", 1_000_000), "nested deeper than 3"},
		{both, `{"a":1,"b":1,"c":1,"d":1}`, ""},
		{both, `{"a":1,"b":1,"c":1,"d":1,"e":1}`, "more than 4 keys"},
		{both, `[1,2,3,4,5,6]`, ""},
		{both, ``, "unexpected EOF"},
		{both, `{"a":`, "unexpected EOF"},
		{both, `{"a"`, "EOF"},
		{both, `{1:2}`, "invalid character"},
		{both, `{"a":1} {}`, "after the end"},
		{both, `{"a":1}]`, "after the end"},
		{both, "\"\xff\"", "not UTF-8"},
	} {
		for _, r := range c.rules {
			err := r.Check([]byte(c.text))
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%+v %.60s: got %v, expected %q", r, c.text, err, c.want)
			}
		}
	}
}

// FuzzCheck compares with encoding/json: what is accepted is JSON, and keys that it takes
// for the same field are refused.
func FuzzCheck(f *testing.F) {
	for _, s := range []string{`{"a":[1,{"b":null}]}`, `{"size":1,"ſIZE":2}`, `"\ud800"`, `[1,2`, `{"a":1,"A":2}`, `{} `} {
		f.Add([]byte(s), "size")
	}
	f.Fuzz(func(t *testing.T, b []byte, key string) {
		r := Rules{Depth: 20, Keys: 100, FoldCase: true}
		if r.Check(b) == nil && !json.Valid(b) {
			t.Errorf("took %q", b)
		}
		text, err := json.Marshal(key)
		if err != nil {
			t.Fatal(err)
		}
		var v struct{ Size int }
		two := fmt.Appendf(nil, `{"size":1,%s:2}`, text)
		if json.Unmarshal(two, &v) == nil && v.Size == 2 && r.Check(two) == nil {
			t.Errorf("took %s", two)
		}
	})
}
