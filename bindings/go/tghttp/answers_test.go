// SPDX-License-Identifier: MIT

package tghttp_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	tidegate "github.com/tidegate/tidegate/bindings/go"
	"github.com/tidegate/tidegate/bindings/go/tghttp"
)

// log collects what slog is told.
type log struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *log) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(line)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func logged(t *testing.T) *log {
	t.Helper()
	before, lines := slog.Default(), &log{}
	slog.SetDefault(slog.New(slog.NewTextHandler(lines, nil)))
	t.Cleanup(func() { slog.SetDefault(before) })
	return lines
}

var unreached = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
	panic("the handler was reached")
})

func TestAContextThatIsDoneIsNeverAnsweredWith200(t *testing.T) {
	lines := logged(t)
	var failure error
	answers := map[string]func(http.ResponseWriter, *http.Request, error){
		"without OnError": nil,
		"it only looks":   func(_ http.ResponseWriter, _ *http.Request, err error) { failure = err },
		"it answers": func(w http.ResponseWriter, _ *http.Request, err error) {
			failure = err
			w.WriteHeader(499)
		},
	}
	for title, onError := range answers {
		config := tghttp.Config{Gate: gate(t, "memory://"), Limit: "9/hour", OnError: onError}
		inner := limit(t, config)(unreached)
		expired := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ctx, cancel := context.WithDeadline(r.Context(), time.Now().Add(-time.Second))
			defer cancel()
			inner.ServeHTTP(w, r.WithContext(ctx))
		})
		response, body := get(t, serve(t, expired))
		if title == "it answers" && response.StatusCode != 499 ||
			title != "it answers" && (response.StatusCode != 503 || body == "") {
			t.Errorf("%s: %d %q", title, response.StatusCode, body)
		}
		if onError != nil && !errors.Is(failure, context.DeadlineExceeded) {
			t.Errorf("%s: OnError was told %v", title, failure)
		}
	}
	if lines.String() != "" {
		t.Error("a context's end is no error of the limit:", lines)
	}
}

func TestAServerThatShutsDownAnswers503(t *testing.T) {
	base, stop := context.WithCancel(context.Background())
	config := tghttp.Config{Gate: gate(t, "memory://"), Limit: "9/hour"}
	server := httptest.NewUnstartedServer(limit(t, config)(ok))
	server.Config.BaseContext = func(net.Listener) context.Context { return base }
	server.Start()
	defer server.Close()
	if response, _ := get(t, server.URL); response.StatusCode != 200 {
		t.Fatal(response.Status)
	}
	stop()
	if response, body := get(t, server.URL); response.StatusCode != 503 || body == "ok" {
		t.Errorf("%s %q", response.Status, body)
	}
}

func TestAMessageIsForTooManyRequestsOnly(t *testing.T) {
	away := gate(t, "redis://127.0.0.1:1?timeout_ms=200")
	closed := []tidegate.LimiterOption{tidegate.OnFailure(tidegate.Closed)}
	config := tghttp.Config{
		Gate: away, Limit: "1/hour", Name: "api", Options: closed, Message: "Too many requests",
	}
	response, body := get(t, serve(t, limit(t, config)(unreached)))
	if response.StatusCode != 503 || strings.Contains(body, "Too many") ||
		response.Header.Get("Content-Type") != "application/problem+json" ||
		!strings.Contains(body, `"status":503`) {
		t.Errorf("%d %v %q", response.StatusCode, response.Header, body)
	}
}

func TestWhereTheUsersFunctionWritesNothingTheRefusalStands(t *testing.T) {
	denied := 0
	config := tghttp.Config{
		Gate: gate(t, "memory://"), Limit: "1/hour", Name: "api",
		OnDenied: func(w http.ResponseWriter, r *http.Request, d tidegate.Decision) {
			denied++
			switch r.URL.Path {
			case "/flush":
				w.WriteHeader(http.StatusEarlyHints) // no answer yet
				w.(http.Flusher).Flush()
			case "/write":
				_, _ = io.WriteString(w, "mine")
			case "/hijack":
				conn, _, err := w.(http.Hijacker).Hijack()
				if err == nil {
					_, _ = io.WriteString(conn, "HTTP/1.1 420 Calm\r\nContent-Length: 0\r\n\r\n")
					conn.Close()
				}
			}
		},
	}
	url := serve(t, limit(t, config)(ok))
	get(t, url)
	for path, expect := range map[string]int{"/": 429, "/flush": 200, "/write": 200, "/hijack": 420} {
		response, body := get(t, url+path)
		if response.StatusCode != expect || (path == "/") != strings.Contains(body, `["api"]`) {
			t.Errorf("%s: %d %q", path, response.StatusCode, body)
		}
	}
	if denied != 4 {
		t.Errorf("OnDenied was called %d times", denied)
	}
}

func TestAProxyThatNobodyTrustsIsMentionedOnce(t *testing.T) {
	lines := logged(t)
	g := gate(t, "memory://")
	behind := []string{"X-Forwarded-For", "203.0.113.7"}
	for _, trusted := range []string{"0", "1"} {
		config := tghttp.Config{Gate: g, Limit: "9/hour", TrustedProxies: trusted}
		get(t, serve(t, limit(t, config)(ok)), behind...)
	}
	believing := gate(t, "memory://?trusted_proxies=1")
	get(t, serve(t, limit(t, tghttp.Config{Gate: believing, Limit: "9/hour"})(ok)), behind...)
	url := serve(t, limit(t, tghttp.Config{Gate: g, Limit: "9/hour", Key: apiKey})(ok))
	get(t, url)
	get(t, url, append(behind, "X-Api-Key", "k_1")...)
	if lines.String() != "" {
		t.Error("nothing is wrong:", lines)
	}
	for range 3 {
		get(t, url, behind...)
	}
	if count := strings.Count(lines.String(), "TrustedProxies"); count != 1 {
		t.Errorf("%d lines: %s", count, lines)
	}
}
