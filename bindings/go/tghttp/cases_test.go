// SPDX-License-Identifier: MIT

package tghttp_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	tidegate "github.com/tidegate/tidegate/bindings/go"
	"github.com/tidegate/tidegate/bindings/go/tghttp"
	"github.com/tidegate/tidegate/bindings/go/tidegatetest"
)

// tests/http/README.md says what the fields mean.
type httpCase struct {
	Title      string
	Middleware layer
	Requests   []struct {
		AtUS         int64 `json:"at_us"`
		Method, Path string
		Headers      [][2]string
		Expect       struct {
			Status  int
			Headers [][2]json.RawMessage
			Body    string
		}
	}
}

type layer struct {
	Limits []struct {
		Rates           string
		Name            *string
		Algorithm, Mode string
	}
	Headers    []string
	KeyHeader  *string `json:"key_header"`
	Trusted    any     `json:"trusted_proxies"`
	Exempt     []string
	Cost       int64
	CostHeader *string `json:"cost_header"`
	Message    json.RawMessage

	Policy           json.RawMessage
	IdentityHeader   *string           `json:"identity_header"`
	TierHeader       *string           `json:"tier_header"`
	AttributeHeaders map[string]string `json:"attribute_headers"`
	KeyHeaders       []*string         `json:"key_headers"`
	Inner            *layer
	AppFields        [][2]string `json:"app_fields"`
}

var watched = []string{
	"RateLimit-Policy", "RateLimit", "X-RateLimit-Limit", "X-RateLimit-Remaining",
	"X-RateLimit-Reset", "Retry-After",
}

// of makes a function that returns a header's value; nil: none is given.
func of(header *string) func(*http.Request) string {
	if header == nil {
		return nil
	}
	return func(r *http.Request) string { return r.Header.Get(*header) }
}

func (m *layer) config(t *testing.T, gate *tidegate.Gate) tghttp.Config {
	t.Helper()
	config := tghttp.Config{
		Gate: gate, Exempt: m.Exempt, Headers: tidegate.NoHeaders, Message: message(t, m.Message),
		Key: of(m.KeyHeader), Identity: of(m.IdentityHeader), Tier: of(m.TierHeader),
	}
	if m.Policy != nil && string(m.Policy) != "null" {
		config.Policy = m.Policy
	}
	if m.AttributeHeaders != nil {
		config.Attributes = func(r *http.Request) tidegate.Attributes {
			said := tidegate.Attributes{}
			for name, header := range m.AttributeHeaders {
				if values := r.Header.Values(header); len(values) > 0 {
					said[name] = values[0]
				}
			}
			return said
		}
	}
	m.addLimits(t, gate, &config)
	styles := map[string]tidegate.HeaderStyle{
		"standard": tidegate.Standard, "legacy": tidegate.Legacy, "legacy-delta": tidegate.LegacyDelta,
	}
	for _, style := range m.Headers {
		config.Headers |= styles[style]
	}
	config.Cost = func(r *http.Request) int64 {
		if m.CostHeader != nil {
			if cost, err := strconv.ParseInt(r.Header.Get(*m.CostHeader), 10, 64); err == nil {
				return cost
			}
		}
		return m.Cost
	}
	config.TrustedProxies = fmt.Sprint(m.Trusted)
	if networks, ok := m.Trusted.([]any); ok {
		config.TrustedProxies = strings.Trim(fmt.Sprint(networks), "[]")
		config.TrustedProxies = strings.ReplaceAll(config.TrustedProxies, " ", ",")
	}
	return config
}

func (m *layer) addLimits(t *testing.T, gate *tidegate.Gate, config *tghttp.Config) {
	t.Helper()
	for i, l := range m.Limits {
		options := []tidegate.LimiterOption{tidegate.Algorithm(l.Algorithm), tidegate.Mode(l.Mode)}
		if l.Name != nil {
			options = append(options, tidegate.Name(*l.Name))
		}
		limiter, err := gate.Limiter(l.Rates, options...)
		if err != nil {
			t.Fatal(err)
		}
		one := tghttp.Limit{Limiter: limiter}
		if m.KeyHeaders != nil {
			if one.Key = of(m.KeyHeaders[i]); one.Key == nil {
				one.Per = tghttp.Address
			}
		}
		config.Limits = append(config.Limits, one)
	}
}

// handler is the app behind the middleware.
func (m *layer) handler(t *testing.T, gate *tidegate.Gate) http.Handler {
	t.Helper()
	app := http.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		for _, field := range m.AppFields {
			w.Header().Set(field[0], field[1])
		}
		_, _ = io.WriteString(w, "ok")
	}))
	routed := app
	if m.Inner != nil {
		m.Inner.AppFields = m.AppFields
		inner := m.Inner.handler(t, gate)
		routed = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/inner" {
				inner.ServeHTTP(w, r)
				return
			}
			app.ServeHTTP(w, r)
		})
	}
	return limit(t, m.config(t, gate))(routed)
}

// message is nil, a string, or an object that keeps the order of its keys.
func message(t *testing.T, raw json.RawMessage) any {
	t.Helper()
	var text string
	switch {
	case len(raw) == 0 || string(raw) == "null":
		return nil
	case json.Unmarshal(raw, &text) == nil:
		return text
	}
	return raw
}

func TestTheTableOfEveryMiddlewareOverHTTP(t *testing.T) {
	data, err := os.ReadFile("../../../tests/http/cases.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []httpCase
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) < 48 {
		t.Fatalf("%d cases", len(cases))
	}
	for _, c := range cases {
		t.Run(c.Title, func(t *testing.T) { c.run(t) })
	}
}

func (c *httpCase) run(t *testing.T) {
	clock := tidegatetest.NewClock(time.UnixMicro(0))
	gate, err := tidegate.Connect("memory://", tidegate.UseClock(clock))
	if err != nil {
		t.Fatal(err)
	}
	defer gate.Close()
	server := httptest.NewServer(c.Middleware.handler(t, gate))
	defer server.Close()
	for i, r := range c.Requests {
		clock.SetUS(r.AtUS)
		request, err := http.NewRequest(r.Method, server.URL+r.Path, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range r.Headers {
			request.Header.Add(h[0], h[1])
		}
		before := time.Now().UnixMicro()
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		after := time.Now().UnixMicro()
		if err != nil || response.StatusCode != r.Expect.Status || string(body) != r.Expect.Body {
			t.Fatalf("request %d: %d %q %v, expected %d %q", i, response.StatusCode, body, err,
				r.Expect.Status, r.Expect.Body)
		}
		listed := map[string]bool{}
		for _, h := range r.Expect.Headers {
			var name string
			if err := json.Unmarshal(h[0], &name); err != nil {
				t.Fatal(err)
			}
			listed[name] = true
			checkValue(t, i, name, response.Header.Values(name), h[1], before, after)
		}
		for _, name := range watched {
			if values := response.Header.Values(name); !listed[name] && len(values) > 0 {
				t.Errorf("request %d: %s: %q, expected none", i, name, values)
			}
		}
	}
}

func checkValue(
	t *testing.T, request int, name string, got []string, expect json.RawMessage,
	before, after int64,
) {
	t.Helper()
	if len(got) != 1 {
		t.Errorf("request %d: %s: %q, expected %s", request, name, got, expect)
		return
	}
	var text string
	if bytes.HasPrefix(expect, []byte(`"`)) {
		if err := json.Unmarshal(expect, &text); err != nil || got[0] != text {
			t.Errorf("request %d: %s: %q, expected %q", request, name, got[0], text)
		}
		return
	}
	var epoch struct {
		After *int64 `json:"epoch_after_us"`
	}
	if err := json.Unmarshal(expect, &epoch); err != nil || epoch.After == nil {
		t.Fatalf("request %d: %s: unknown expectation %s", request, name, expect)
	}
	seconds := func(us int64) int64 { return (us + *epoch.After + 999_999) / 1_000_000 }
	if value, err := strconv.ParseInt(got[0], 10, 64); err != nil || value < seconds(before) ||
		value > seconds(after) {
		t.Errorf("request %d: %s: %s, expected %d to %d", request, name, got[0], seconds(before),
			seconds(after))
	}
}
