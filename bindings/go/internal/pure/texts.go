// SPDX-License-Identifier: MIT

package pure

import (
	"encoding"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Append writes one attribute as the library reads it: each text behind its length.
func Append(list []byte, name, value string) []byte {
	list = binary.NativeEndian.AppendUint32(list, uint32(len(name)))
	list = append(list, name...)
	list = binary.NativeEndian.AppendUint32(list, uint32(len(value)))
	return append(list, value...)
}

// AppendAll writes the attributes in the order of their names; nil values are none.
func AppendAll(list []byte, attributes map[string]any) ([]byte, error) {
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		if attributes[name] == nil {
			continue
		}
		text, err := Text(attributes[name])
		if err != nil {
			return nil, fmt.Errorf("attribute %s: %w", name, err)
		}
		list = Append(list, name, text)
	}
	return list, nil
}

// Text is a text, a number or a bool as a policy compares it.
func Text(value any) (string, error) {
	switch v := value.(type) {
	case string:
		return v, nil
	case encoding.TextMarshaler:
		text, err := v.MarshalText()
		return string(text), err
	}
	switch v := reflect.ValueOf(value); v.Kind() {
	case reflect.String:
		return v.String(), nil
	case reflect.Bool:
		return strconv.FormatBool(v.Bool()), nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return strconv.FormatInt(v.Int(), 10), nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return strconv.FormatUint(v.Uint(), 10), nil
	}
	return "", fmt.Errorf("a %T: expected a text, an integer or a bool", value)
}

// Source is a policy's text, or the path of its file: a string that has a newline or begins with {
// is a text, any other a path; []byte is a text; anything else is written as JSON.
func Source(policy any) (text, file string, err error) {
	if text, isText := policy.(string); isText && text != "" {
		if strings.Contains(text, "\n") || strings.HasPrefix(text, "{") {
			return text, "", nil
		}
		return "", text, nil
	}
	if text, err = JSON(policy); err == nil && text == "" {
		err = errors.New("an empty policy: expected a path, a text or a document")
	}
	return text, "", err
}

// Read is a policy's text, wherever it is.
func Read(policy any) (string, error) {
	text, file, err := Source(policy)
	if err != nil || file == "" {
		return text, err
	}
	read, err := os.ReadFile(file)
	return string(read), err
}

// JSON is a document as the library reads it: a text or []byte as it is, anything else written.
func JSON(document any) (string, error) {
	switch d := document.(type) {
	case string:
		return d, nil
	case []byte:
		return string(d), nil
	}
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(document)
	return strings.TrimSuffix(b.String(), "\n"), err
}
