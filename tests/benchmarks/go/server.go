// SPDX-License-Identifier: MIT

package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// server is a Valkey of the benchmark's own on a free port of the loopback.
type server struct {
	folder, address, version string
	cmd                      *exec.Cmd
}

func find() string {
	best := ""
	for _, pair := range strings.Split(os.Getenv("TIDEGATE_SERVERS"), ":") {
		if name, path, ok := strings.Cut(pair, "="); ok &&
			(best == "" || strings.HasPrefix(name, "valkey")) {
			best = path
		}
	}
	for _, name := range []string{"valkey-server", "redis-server"} {
		if path, err := exec.LookPath(name); err == nil && best == "" {
			best = path
		}
	}
	return best
}

func start(binary string) (*server, error) {
	if binary == "" {
		binary = find()
	}
	folder, err := os.MkdirTemp("", "tg")
	if err != nil {
		return nil, err
	}
	s := &server{folder: folder, address: freeAddress()}
	_, port, _ := net.SplitHostPort(s.address)
	s.cmd = exec.Command(binary, "--bind", "127.0.0.1", "--port", port, "--save", "",
		"--dir", folder, "--logfile", filepath.Join(folder, "log"))
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		os.RemoveAll(folder)
		return nil, fmt.Errorf("server %q: %w", binary, err)
	}
	for range 500 {
		if conn, err := net.Dial("tcp", s.address); err == nil {
			fmt.Fprint(conn, "INFO server\r\n")
			info := make([]byte, 4096)
			n, _ := conn.Read(info)
			conn.Close()
			s.version = versionOf(string(info[:n]))
			return s, nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	s.stop()
	return nil, fmt.Errorf("server %q does not answer", binary)
}

func versionOf(info string) string {
	for _, name := range []string{"valkey", "redis"} {
		if _, rest, ok := strings.Cut(info, name+"_version:"); ok {
			number, _, _ := strings.Cut(rest, "\r")
			return name + " " + number
		}
	}
	return "unknown server"
}

func (s *server) stop() {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
	os.RemoveAll(s.folder)
}

func freeAddress() string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return ""
	}
	defer listener.Close()
	return listener.Addr().String()
}

// watch returns the words of the EVALSHA that a decision sends.
func (s *server) watch(decide func() error) ([]string, error) {
	conn, err := net.Dial("tcp", s.address)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	lines := bufio.NewReader(conn)
	fmt.Fprint(conn, "MONITOR\r\n")
	if _, err := lines.ReadString('\n'); err != nil {
		return nil, err
	}
	if err := decide(); err != nil {
		return nil, err
	}
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return nil, fmt.Errorf("no EVALSHA was seen: %w", err)
		}
		_, command, _ := strings.Cut(line, "] ")
		if words := unquote(command); len(words) > 0 && strings.EqualFold(words[0], "evalsha") {
			return words, nil
		}
	}
}

// unquote reads MONITOR's words: "a" "b\x00\"c".
func unquote(line string) (words []string) {
	for rest := strings.TrimSpace(line); rest != ""; rest = strings.TrimSpace(rest) {
		quoted, err := strconv.QuotedPrefix(rest)
		if err != nil {
			return nil
		}
		word, err := strconv.Unquote(quoted)
		if err != nil {
			return nil
		}
		words = append(words, word)
		rest = rest[len(quoted):]
	}
	return words
}
