// SPDX-License-Identifier: MIT

package tghttp

import (
	"errors"
	"log/slog"
	"net/http"

	tidegate "github.com/tidegate/tidegate/bindings/go"
)

// deny answers a refusal. A user's function that only logs would otherwise be net/http's "200 OK".
func (m *middleware) deny(w http.ResponseWriter, r *http.Request, d tidegate.Decision) {
	if m.OnDenied != nil {
		a := &writer{ResponseWriter: w}
		if m.OnDenied(a, r, d); a.status != 0 {
			return
		}
	}
	body, contentType := m.body, m.contentType
	// The message is about too many requests; a ban, or that the limit cannot be checked, is another
	// thing.
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
		a := &writer{ResponseWriter: w}
		if m.OnError(a, r, err); a.status != 0 {
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
