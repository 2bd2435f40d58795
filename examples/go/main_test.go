// SPDX-License-Identifier: MIT

package main

import (
	"bufio"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func start(t *testing.T, binary string, flags ...string) string {
	t.Helper()
	command := exec.Command(binary, append([]string{"--listen", "127.0.0.1:0"}, flags...)...)
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	line, _ := bufio.NewReader(out).ReadString('\n')
	address, ok := strings.CutPrefix(strings.TrimSpace(line), "listening on ")
	if !ok {
		t.Fatalf("it printed %q", line)
	}
	return "http://" + address
}

func status(t *testing.T, url, key string) int {
	t.Helper()
	request, err := http.NewRequest("GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		request.Header.Set("X-Api-Key", key)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	return response.StatusCode
}

func TestTheServiceLimitsEachCaller(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "service")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	url := start(t, binary, "--store", "memory://", "--limit", "3/hour", "--name", "demo")
	for _, key := range []string{"k_1", "k_2", ""} {
		for i, expect := range []int{200, 200, 200, 429, 429} {
			if got := status(t, url+"/", key); got != expect {
				t.Errorf("key %q, request %d: %d, expected %d", key, i, got, expect)
			}
		}
		if got := status(t, url+"/health", key); got != 200 {
			t.Errorf("/health: %d", got)
		}
	}
	if out, err := exec.Command(binary, "--limit", "lots").CombinedOutput(); err == nil ||
		!strings.Contains(string(out), `"lots"`) {
		t.Errorf("a bad limit: %v %s", err, out)
	}
}
