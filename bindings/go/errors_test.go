// SPDX-License-Identifier: MIT

package tidegate

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestWhatErrorsIsFindsInEveryCode(t *testing.T) {
	const fork, size = -12, -2
	sentinels := []error{ErrConfig, ErrStore, ErrClosed, ErrLimiterClosed, ErrDenied}
	for code := Code(0); code >= -70; code-- {
		var expect error
		switch code {
		case CodeInvalid, size, CodeRate, CodeOption, CodeURL, CodeKey, CodeCost, CodeName,
			CodeConflict, CodeID, CodePolicy, CodeAttribute:
			expect = ErrConfig
		case CodeHandle:
			expect = ErrLimiterClosed
		case CodeClosed, fork:
			expect = ErrClosed
		default:
			if code <= CodeStore && code >= CodeWrongType {
				expect = ErrStore
			}
		}
		err := fmt.Errorf("wrapped: %w", failed(int32(code), ""))
		for _, sentinel := range sentinels {
			if got := errors.Is(err, sentinel); got != (sentinel == expect) {
				t.Errorf("errors.Is(%d %v, %v) is %v", code, code, sentinel, got)
			}
		}
		if errors.Is(err, context.DeadlineExceeded) != (code == CodeTimedOut) ||
			errors.Is(err, context.Canceled) != (code == CodeCanceled) {
			t.Errorf("%d and a context's errors", code)
		}
	}
	if errors.Is(failed(0, "x"), nil) {
		t.Error("an error is no error")
	}
}

func TestCodesHaveNamesAndTexts(t *testing.T) {
	for code, expect := range map[Code]string{CodeRate: "TG_ERATE", CodeTLS: "TG_ETLS", -99: ""} {
		if code.Name() != expect || code.String() == "" {
			t.Errorf("%d is %q, expected %q: %q", code, code.Name(), expect, code)
		}
	}
}

func TestADenialAsAnError(t *testing.T) {
	err := Decision{Name: "api", Source: SourceMemory, Remaining: Unknown, RetryAfter: Never}.Err()
	var denied *DeniedError
	if !errors.Is(err, ErrDenied) || !errors.As(err, &denied) || errors.Is(err, ErrConfig) ||
		err.Error() != "tidegate: denied by api (memory), never" {
		t.Error(err)
	}
	if err := (Decision{Allowed: true}).Err(); err != nil {
		t.Error(err)
	}
}

func TestALibraryOlderThanTheHeaderIsRefused(t *testing.T) {
	for library, fine := range map[int32]bool{1: false, 2: true, 3: true} {
		err := agree(library, 2, "0.0.9")
		if (err == nil) != fine {
			t.Errorf("ABI %d for a header of 2: %v", library, err)
		}
		if !fine && !strings.Contains(err.Error(), "libtidegate that was loaded (0.0.9) has ABI 1: "+
			"expected 2 or newer") {
			t.Error(err)
		}
	}
}
