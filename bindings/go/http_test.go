// SPDX-License-Identifier: MIT

package tidegate

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// The cases of tests/conformance/http.jsonl that a binding can get wrong: headers, bodies, and who
// the caller is.
type httpCase struct {
	Headers *struct {
		Policies []struct {
			Name, Algorithm string
			Limit           int64
			WindowUS        int64 `json:"window_us"`
			Burst           *int64
			Shadow          bool
		}
		Answers []struct {
			Allowed      bool
			Remaining    int64
			RetryAfterUS int64 `json:"retry_after_us"`
			NextUS       int64 `json:"next_us"`
			ResetAfterUS int64 `json:"reset_after_us"`
		}
		Allowed bool
		Binding int
		Source  string
		Style   []string
		WallUS  int64 `json:"wall_us"`
	}
	Caller *struct {
		Peer         string
		ForwardedFor []string `json:"forwarded_for"`
		Trusted      any
		IPv6Prefix   int `json:"ipv6_prefix"`
		Identity     string
	}
	Expect json.RawMessage
}

func micro(us int64) time.Duration {
	if us < 0 {
		return Never
	}
	return time.Duration(us) * time.Microsecond
}

func checkHeaders(t *testing.T, c *httpCase) {
	t.Helper()
	gate, err := Connect("memory://")
	if err != nil {
		t.Fatal(err)
	}
	defer gate.Close()
	h := c.Headers
	d := Decision{
		Allowed: h.Allowed,
		Source:  Source(slices.Index(sourceNames[:], h.Source)),
		gate:    gate,
		binding: h.Binding,
	}
	for i, p := range h.Policies {
		rates := fmt.Sprintf("%d/%dus", p.Limit, p.WindowUS)
		if p.Burst != nil {
			rates += fmt.Sprintf(" burst %d", *p.Burst)
		}
		l, err := gate.Limiter(rates, Name(p.Name), Algorithm(p.Algorithm))
		if err != nil && p.Name == h.Policies[0].Name { // twice the same name: the same numbers
			t.Fatal(err)
		}
		a, rate := h.Answers[i], l.Rates()[0]
		d.Parts = append(d.Parts, Part{
			Name: rate.Name, Limiter: l, Allowed: a.Allowed, Shadow: p.Shadow, Limit: rate.Limit,
			Remaining: a.Remaining, Capacity: rate.Capacity, Window: rate.Window,
			RetryAfter: micro(a.RetryAfterUS), NextAfter: micro(a.NextUS),
			ResetAfter: micro(a.ResetAfterUS),
		})
	}
	styles := map[string]HeaderStyle{
		"standard": Standard, "legacy": Legacy, "legacy-delta": LegacyDelta,
	}
	var style HeaderStyle
	for _, name := range h.Style {
		style |= styles[name]
	}
	var expect struct {
		Status  int
		Headers [][2]string
		Body    *string
	}
	if err := json.Unmarshal(c.Expect, &expect); err != nil {
		t.Fatal(err)
	}
	got := [][2]string{}
	for _, f := range d.headersAt(style, h.WallUS) {
		got = append(got, [2]string{f.Name, f.Value})
	}
	if !reflect.DeepEqual(got, expect.Headers) {
		t.Errorf("headers %q, expected %q", got, expect.Headers)
	}
	body := ""
	if expect.Body != nil {
		body = *expect.Body
	}
	if d.Problem() != body || d.Status() != expect.Status {
		t.Errorf("%d %q, expected %d %q", d.Status(), d.Problem(), expect.Status, body)
	}
}

func checkCaller(t *testing.T, c *httpCase) {
	t.Helper()
	trusted := fmt.Sprint(c.Caller.Trusted)
	if networks, ok := c.Caller.Trusted.([]any); ok {
		words := []string{}
		for _, n := range networks {
			words = append(words, n.(string))
		}
		trusted = strings.Join(words, ",")
	}
	callers, err := NewCallers(trusted, c.Caller.IPv6Prefix)
	if err != nil {
		t.Fatal(err)
	}
	var expect struct{ Address, Key string }
	if err := json.Unmarshal(c.Expect, &expect); err != nil {
		t.Fatal(err)
	}
	forwarded := strings.Join(c.Caller.ForwardedFor, ",")
	if key := callers.Key(c.Caller.Identity, c.Caller.Peer, forwarded); key != expect.Key {
		t.Errorf("key %q, expected %q", key, expect.Key)
	}
	if key := callers.Key("", c.Caller.Peer, forwarded); key != "@"+expect.Address {
		t.Errorf("address %q, expected %q", key, expect.Address)
	}
}

func TestHeadersBodiesAndCallersAreThoseOfTheModel(t *testing.T) {
	file, err := os.Open("../../tests/conformance/http.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	headers, callers := 0, 0
	for lines := bufio.NewScanner(file); lines.Scan() && !t.Failed(); {
		var c httpCase
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		switch {
		case c.Headers != nil:
			checkHeaders(t, &c)
			headers++
		case c.Caller != nil:
			checkCaller(t, &c)
			callers++
		}
	}
	if headers != 150 || callers != 120 {
		t.Errorf("%d and %d cases, expected 150 and 120", headers, callers)
	}
}
