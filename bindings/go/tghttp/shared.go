// SPDX-License-Identifier: MIT

package tghttp

import (
	"os"
	"sync"

	tidegate "github.com/tidegate/tidegate/bindings/go"
)

var gates struct {
	sync.Mutex
	byURL map[string]*tidegate.Gate
}

// shared is the process's gate on a store; it lives as long as the process, or until CloseShared.
func shared(url string) (*tidegate.Gate, error) {
	if url == "" {
		url = os.Getenv("TIDEGATE_URL")
	}
	if url == "" {
		url = "memory://"
	}
	gates.Lock()
	defer gates.Unlock()
	if gate := gates.byURL[url]; gate != nil {
		return gate, nil
	}
	gate, err := tidegate.Connect(url)
	if err != nil {
		return nil, err
	}
	if gates.byURL == nil {
		gates.byURL = map[string]*tidegate.Gate{}
	}
	gates.byURL[url] = gate
	return gate, nil
}

// CloseShared closes the gates of all middleware that was made without one: at the end of a program
// or test. Such middleware answers with an error from then on; what is made later has new gates.
func CloseShared() {
	gates.Lock()
	defer gates.Unlock()
	for _, gate := range gates.byURL {
		gate.Close()
	}
	gates.byURL = nil
}
