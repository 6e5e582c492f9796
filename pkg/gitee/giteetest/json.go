package giteetest

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// object is a JSON object that keeps its order.
type object []member

type member struct {
	key   string
	value any // nil, bool, int, int64, string, []string, object, []object, jsontext.Value
}

func (o object) has(key string) bool {
	return slices.ContainsFunc(o, func(m member) bool { return m.key == key })
}

func (o object) append(b []byte) []byte {
	b = append(b, '{')
	for i, m := range o {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, m.key)
		b = append(b, ':')
		b = appendValue(b, m.value)
	}
	return append(b, '}')
}

func appendValue(b []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(b, "null"...)
	case bool:
		return strconv.AppendBool(b, v)
	case int:
		return strconv.AppendInt(b, int64(v), 10)
	case int64:
		return strconv.AppendInt(b, v, 10)
	case string:
		return appendString(b, v)
	case []string:
		return appendList(b, v, appendString)
	case object:
		return v.append(b)
	case []object:
		return appendList(b, v, func(b []byte, o object) []byte { return o.append(b) })
	case jsontext.Value:
		return append(b, v...)
	default:
		panic(fmt.Sprintf("giteetest: no JSON for a %T", v))
	}
}

func appendList[T any](b []byte, list []T, appendItem func([]byte, T) []byte) []byte {
	b = append(b, '[')
	for i, item := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendItem(b, item)
	}
	return append(b, ']')
}

// appendString writes s as Gitee does: characters beyond ASCII as they are.
func appendString(b []byte, s string) []byte {
	b, _ = jsontext.AppendQuote(b, s) // fails only for invalid UTF-8, and replaces that
	return b
}

var beijing = time.FixedZone("", 8*60*60)

// clock writes a time as Gitee does.
func clock(t time.Time) string { return t.In(beijing).Format(time.RFC3339) }

// hash makes a commit's hash of what is to make it unique.
func hash(seed ...any) string {
	sum := sha256.Sum256(fmt.Append(nil, seed...))
	return hex.EncodeToString(sum[:20])
}

// zeros stands for no commit.
const zeros = "0000000000000000000000000000000000000000"
