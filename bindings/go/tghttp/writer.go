// SPDX-License-Identifier: MIT

package tghttp

import (
	"bufio"
	"io"
	"net"
	"net/http"
)

// writer is a ResponseWriter that knows when the answer begins, and with which status.
type writer struct {
	http.ResponseWriter
	begins func() // before the answer's first byte; may be nil
	status int    // 0: it has not begun
}

func (w *writer) begin(status int) {
	if w.status == 0 {
		if w.status = status; w.begins != nil {
			w.begins()
		}
	}
}

// WriteHeader begins the answer, unless the status is informational.
func (w *writer) WriteHeader(status int) {
	if status >= 200 || status == http.StatusSwitchingProtocols {
		w.begin(status)
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write begins the answer.
func (w *writer) Write(body []byte) (int, error) {
	w.begin(http.StatusOK)
	return w.ResponseWriter.Write(body)
}

// WriteString begins the answer.
func (w *writer) WriteString(body string) (int, error) {
	w.begin(http.StatusOK)
	return io.WriteString(w.ResponseWriter, body)
}

// ReadFrom begins the answer; the server may let the kernel copy a file.
func (w *writer) ReadFrom(source io.Reader) (int64, error) {
	w.begin(http.StatusOK)
	return io.Copy(w.ResponseWriter, source)
}

// Flush begins the answer.
func (w *writer) Flush() { _ = w.FlushError() }

// FlushError begins the answer.
func (w *writer) FlushError() error {
	w.begin(http.StatusOK)
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Hijack takes the connection over.
func (w *writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffers, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err == nil && w.status == 0 {
		w.status = http.StatusSwitchingProtocols
	}
	return conn, buffers, err
}

// Push is HTTP/2's.
func (w *writer) Push(target string, options *http.PushOptions) error {
	if pusher, ok := w.ResponseWriter.(http.Pusher); ok {
		return pusher.Push(target, options)
	}
	return http.ErrNotSupported
}

// CloseNotify is what gin asks for.
func (w *writer) CloseNotify() <-chan bool {
	if notifier, ok := w.ResponseWriter.(http.CloseNotifier); ok { //nolint:staticcheck // gin's
		return notifier.CloseNotify()
	}
	return nil
}

// Unwrap is for [http.ResponseController].
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }
