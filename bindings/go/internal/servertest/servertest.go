// SPDX-License-Identifier: MIT

// Package servertest starts real servers for tests and benchmarks, on Unix sockets in folders of
// their own.
package servertest

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Server is a running Valkey or Redis.
type Server struct {
	Name   string
	Socket string
	binary string
	folder string
	flags  []string
	cmd    *exec.Cmd
}

// Binaries are the servers of $TIDEGATE_SERVERS ("name=path:name=path"), or the redis-server or
// valkey-server of PATH, as name and path.
func Binaries() (found [][2]string) {
	for _, pair := range strings.Split(os.Getenv("TIDEGATE_SERVERS"), ":") {
		if name, path, ok := strings.Cut(pair, "="); ok {
			found = append(found, [2]string{name, path})
		}
	}
	for _, name := range []string{"valkey-server", "redis-server"} {
		if path, err := exec.LookPath(name); err == nil && len(found) == 0 {
			found = append(found, [2]string{name, path})
		}
	}
	return found
}

// EachServer runs f as a subtest on every server there is; it says so where there is none.
func EachServer(t *testing.T, f func(t *testing.T, s *Server)) {
	binaries := Binaries()
	if len(binaries) == 0 {
		fmt.Printf("SKIPPED: %s: no server in TIDEGATE_SERVERS or PATH\n", t.Name())
		t.Skip("no server in TIDEGATE_SERVERS or PATH")
	}
	for _, b := range binaries {
		t.Run(b[0], func(t *testing.T) { f(t, Start(t, b[0], b[1])) })
	}
}

// Start starts a server that ends with the test.
func Start(t testing.TB, name, binary string, flags ...string) *Server {
	t.Helper()
	folder, err := os.MkdirTemp("", "tg") // short: a socket's path has at most 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{
		Name: name, Socket: filepath.Join(folder, "s"), binary: binary, folder: folder, flags: flags,
	}
	t.Cleanup(func() {
		s.Kill()
		os.RemoveAll(folder)
	})
	s.Restart(t)
	return s
}

// Restart starts it again, empty, and waits until it answers.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	s.Kill()
	args := append(
		[]string{"--port", "0", "--unixsocket", s.Socket, "--save", "", "--appendonly", "no",
			"--dir", s.folder, "--logfile", filepath.Join(s.folder, "log")},
		s.flags...)
	s.cmd = exec.Command(s.binary, args...)
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		t.Fatalf("%s: %v", s.binary, err)
	}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if strings.HasPrefix(s.ask("PING"), "+PONG") {
			return
		}
		if time.Now().After(end) {
			log, _ := os.ReadFile(filepath.Join(s.folder, "log"))
			t.Fatalf("%s does not answer: %s", s.binary, log)
		}
	}
}

func (s *Server) ask(command string) string {
	conn, err := net.Dial("unix", s.Socket)
	if err != nil {
		return ""
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	fmt.Fprintf(conn, "%s\r\n", command)
	answer := make([]byte, 4096)
	n, _ := conn.Read(answer)
	return string(answer[:n])
}

// URL is the server's, with options such as "timeout_ms=50".
func (s *Server) URL(options ...string) string {
	url := "unix://" + s.Socket
	if len(options) > 0 {
		url += "?" + strings.Join(options, "&")
	}
	return url
}

// Stop halts it: it keeps its connections and answers nothing. Continue lets it go on.
func (s *Server) Stop()     { _ = s.cmd.Process.Signal(syscall.SIGSTOP) }
func (s *Server) Continue() { _ = s.cmd.Process.Signal(syscall.SIGCONT) }

// Kill ends it at once.
func (s *Server) Kill() {
	if s.cmd != nil {
		_ = s.cmd.Process.Kill()
		_, _ = s.cmd.Process.Wait()
		s.cmd = nil
		os.Remove(s.Socket)
	}
}
