// SPDX-License-Identifier: MIT

package tghttp

import (
	"bufio"
	"errors"
	"log/slog"
	"net"
	"net/http"

	tidegate "github.com/tidegate/tidegate/bindings/go"
)

// answering knows whether the user's function has answered: one that only logs would otherwise be a
// "200 OK" of net/http's.
type answering struct {
	http.ResponseWriter
	began bool
}

// WriteHeader begins the answer, unless the status is informational.
func (a *answering) WriteHeader(status int) {
	a.began = a.began || status >= 200 || status == http.StatusSwitchingProtocols
	a.ResponseWriter.WriteHeader(status)
}

// Write begins the answer.
func (a *answering) Write(body []byte) (int, error) {
	a.began = true
	return a.ResponseWriter.Write(body)
}

// Flush begins the answer.
func (a *answering) Flush() {
	a.began = true
	_ = http.NewResponseController(a.ResponseWriter).Flush()
}

// Hijack takes the connection over.
func (a *answering) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffers, err := http.NewResponseController(a.ResponseWriter).Hijack()
	a.began = a.began || err == nil
	return conn, buffers, err
}

// Unwrap is for [http.ResponseController].
func (a *answering) Unwrap() http.ResponseWriter { return a.ResponseWriter }

func (m *middleware) deny(w http.ResponseWriter, r *http.Request, d tidegate.Decision) {
	if m.OnDenied != nil {
		a := &answering{ResponseWriter: w}
		if m.OnDenied(a, r, d); a.began {
			return
		}
	}
	body, contentType := m.body, m.contentType
	// The message is about too many requests; that the limit cannot be checked is another thing.
	if contentType == "" || d.Status() != http.StatusTooManyRequests {
		body, contentType = []byte(d.Problem()), "application/problem+json"
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(d.Status())
	_, _ = w.Write(body) // a caller that went away is no error
}

// failed answers what could not be checked. A context that is done may be the server's own doing (a
// deadline further out, a shutdown): the caller may be there, and must not be told "200 OK".
func (m *middleware) failed(w http.ResponseWriter, r *http.Request, err error) {
	done := r.Context().Err() != nil && errors.Is(err, r.Context().Err())
	if m.OnError != nil {
		a := &answering{ResponseWriter: w}
		if m.OnError(a, r, err); a.began {
			return
		}
	} else if !done {
		slog.ErrorContext(r.Context(), "tidegate: a request could not be checked",
			slog.Any("error", err))
	}
	status := http.StatusInternalServerError
	if done {
		status = http.StatusServiceUnavailable
	}
	http.Error(w, "The rate limit cannot be checked.", status)
}
