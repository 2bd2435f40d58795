// SPDX-License-Identifier: MIT

//go:build cgo

package policy_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	tidegate "github.com/tidegate/tidegate/bindings/go"
	"github.com/tidegate/tidegate/bindings/go/policy"
)

// A line of tests/conformance/policy.jsonl.
type vector struct {
	ID            string
	Policy, Live  json.RawMessage
	Ignored       []string
	ErrorPath     *string `json:"error_path"`
	LiveErrorPath *string `json:"live_error_path"`
	Cases         []struct {
		NowUS   int64 `json:"now_us"`
		Request tidegate.Attributes
		Expect  policy.Resolution
	}
}

func vectors(t *testing.T) (all []vector) {
	t.Helper()
	file, err := os.Open("../../../tests/conformance/policy.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		var v vector
		if err := json.Unmarshal(lines.Bytes(), &v); err != nil {
			t.Fatal(err)
		}
		all = append(all, v)
	}
	if len(all) < 300 {
		t.Fatalf("%d vectors", len(all))
	}
	return all
}

func TestPoliciesAreTheModels(t *testing.T) {
	cases := 0
	for _, v := range vectors(t) {
		faults, err := policy.Validate(v.Policy)
		if err != nil || (len(faults) > 0) != (v.ErrorPath != nil) {
			t.Errorf("%s: %v %v", v.ID, faults, err)
			continue
		}
		if v.ErrorPath != nil {
			if faults[0].Path != *v.ErrorPath || faults[0].Message == "" {
				t.Errorf("%s: %+v, expected %s", v.ID, faults[0], *v.ErrorPath)
			}
			_, err := policy.Resolve(v.Policy, nil)
			refused(t, v.ID, err, *v.ErrorPath)
			continue
		}
		if v.LiveErrorPath != nil {
			_, err := policy.Resolve(v.Policy, nil, policy.Live(v.Live))
			refused(t, v.ID, err, *v.LiveErrorPath)
		}
		ignored, err := policy.Ignored(v.Policy, v.Live)
		if v.LiveErrorPath == nil && (err != nil || !reflect.DeepEqual(ignored, v.Ignored)) {
			t.Errorf("%s: ignored %q %v, expected %q", v.ID, ignored, err, v.Ignored)
		}
		for i, c := range v.Cases {
			cases++
			answer, err := policy.Resolve(v.Policy, c.Request, policy.Live(v.Live),
				policy.Now(time.UnixMicro(c.NowUS)))
			if err != nil {
				t.Errorf("%s, case %d: %v", v.ID, i, err)
				continue
			}
			if !reflect.DeepEqual(answer, c.Expect) {
				t.Errorf("%s, case %d:\n%+v, expected\n%+v", v.ID, i, answer, c.Expect)
			}
		}
	}
	if cases < 1000 {
		t.Errorf("%d cases", cases)
	}
}

func refused(t *testing.T, id string, err error, path string) {
	t.Helper()
	var e *tidegate.Error
	if path = path[:min(len(path), 200)]; path != "" && len(path) < 200 { // messages have an end
		path += ": "
	}
	if !errors.As(err, &e) || e.Code != tidegate.CodePolicy || !errors.Is(err, tidegate.ErrConfig) ||
		!strings.Contains(e.Message, path) {
		t.Errorf("%s: %v, expected %q", id, err, path)
	}
}

const text = "version: 1\nlimiters: {a: 5/minute}\nrules: [{limit: a, cost: '{n}'}]\n"

func TestAPolicyIsAPathATextOrADocument(t *testing.T) {
	path := filepath.Join(t.TempDir(), "limits.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	document := map[string]any{
		"version": 1, "limiters": map[string]any{"a": "5/minute"},
		"rules": []any{map[string]any{"limit": "a", "cost": "{n}"}},
	}
	asJSON, err := json.Marshal(document)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []any{path, text, []byte(text), document, string(asJSON)} {
		answer, err := policy.Resolve(p, tidegate.Attributes{"n": 3})
		if err != nil || len(answer.Parts) != 1 || answer.Parts[0].Cost != 3 ||
			answer.Parts[0].Key != "@unknown" {
			t.Errorf("%v: %+v %v", p, answer, err)
		}
	}
	for _, p := range []any{"", nil, []byte{}, path + ".nowhere", make(chan int), "version: 1\n{"} {
		if _, err := policy.Resolve(p, nil); err == nil {
			t.Errorf("%v: no error", p)
		}
	}
}

func TestWhatAttributesMayBe(t *testing.T) {
	type word string
	for value, expect := range map[any]int64{"7": 7, 7: 7, uint8(7): 7, word("7"): 7, nil: -1} {
		answer, err := policy.Resolve(text, tidegate.Attributes{"n": value})
		if expect < 0 {
			if err != nil || answer.Verdict != "error" || answer.Error != "cost" {
				t.Errorf("%v: %+v %v", value, answer, err)
			}
		} else if err != nil || answer.Parts[0].Cost != expect {
			t.Errorf("%v: %+v %v", value, answer, err)
		}
	}
	for _, value := range []any{[]int{7}, map[string]int{}, 7.5} {
		_, err := policy.Resolve(text, tidegate.Attributes{"n": value})
		var e *tidegate.Error
		if !errors.As(err, &e) || e.Code != tidegate.CodeAttribute || !strings.Contains(e.Message, "n: a ") {
			t.Errorf("%v: %v", value, err)
		}
	}
}

func TestTheReadmesPolicyIsOne(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(readme), "```yaml\n")
	shown, _, found := strings.Cut(rest, "```")
	if faults, err := policy.Validate(shown); err != nil || len(faults) > 0 || !found {
		t.Errorf("%+v %v", faults, err)
	}
}

func TestTheReadmesRecipesAreRules(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	text := "version: 1\nlimiters: {logins: 5/minute, tokens: 9/minute, " +
		"streams: {rate: 5 at once, lease: 30s}}\nrules:\n"
	rules := regexp.MustCompile("`({when: .*?})`").FindAllStringSubmatch(string(readme), -1)
	for _, rule := range rules {
		text += "  - " + rule[1] + "\n"
	}
	if faults, err := policy.Validate(text); err != nil || len(faults) > 0 || len(rules) < 3 ||
		!strings.Contains(string(readme), "{streams: {rate: 5 at once, lease: 30s}}") {
		t.Errorf("%d rules: %+v %v", len(rules), faults, err)
	}
}
