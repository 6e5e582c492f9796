package render

import (
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

func TestTameLeavesMeaningAndTakesEffect(t *testing.T) {
	for _, tt := range []struct{ give, want string }{
		{"plain text - 100%!", "plain text - 100%!"},
		{"中文，标点。", "中文，标点。"},
		{"a -> b, c < d", "a -> b, c ＜ d"},
		{"a < b and c -> d", "a ＜ b and c -> d"},
		{"List<String> -> Map<K, V>", "List＜String＞ -> Map＜K, V＞"},
		{"<img src=x>", "＜img src=x＞"},
		{"@alice a@b.c", "＠alice a＠b.c"},
		{"R&D & &lt; &#64; &amp", "R&D & ＆lt; ＆#64; &amp"},
		{"&l\u200bt;", "＆lt;"},
		{"a\r\nb\rc\u2028d", "a\nb\nc\nd"},
		{"a\x00\x1b[31mb\u202ec\u2066d\ufeff\u00ad", "a[31mbcd"},
		{"a\xffb", "a\uFFFDb"},
		{"é e\u0301 👩\u200d👩\u200d👧", "é e\u0301 👩\u200d👩\u200d👧"},
		{"Z" + strings.Repeat("\u0335", 50) + "algo", "Z" + strings.Repeat("\u0335", 6) + "algo"},
	} {
		if got := tame(tt.give); got != tt.want {
			t.Errorf("tame(%q) = %q, want %q", tt.give, got, tt.want)
		}
	}
}

func TestCutKeepsWholeCharacters(t *testing.T) {
	const family = "👩\u200d👩\u200d👧"
	for _, tt := range []struct {
		give string
		max  int
		want string
	}{
		{"短", 5, "短"},
		{"一二三四五", 5, "一二三四五"},
		{"一二三四五六", 5, "一二三四…"},
		{"abc  def", 5, "abc…"},
		{"e\u0301e\u0301e\u0301", 3, "e\u0301e\u0301e\u0301"},
		{"e\u0301e\u0301e\u0301e\u0301", 3, "e\u0301e\u0301…"},
		{"ab🇨🇳🇷🇺cd", 4, "ab🇨🇳…"},
		{"x" + family + "yz", 3, "x" + family + "…"},
		{family + family + family, 3, family + "…"}, // three characters, and too many bytes
		{strings.Repeat("👩\u200d", 100), 3, "…"},    // one endless character
	} {
		got, cutted := cut(tt.give, tt.max)
		if got != tt.want || cutted != (got != tt.give) {
			t.Errorf("cut(%q, %d) = %q, %v, want %q", tt.give, tt.max, got, cutted, tt.want)
		}
	}
}

func FuzzCut(f *testing.F) {
	for _, a := range attacks {
		f.Add(a, uint8(len(a)%30+1))
	}
	f.Fuzz(func(t *testing.T, s string, n uint8) {
		s, max := tame(s), int(n)+1
		got, cutted := cut(s, max)
		if len(got) > bytesPerCharacter*max+len("…") || !utf8.ValidString(got) {
			t.Fatalf("cut(%q, %d) = %q: too long, or not UTF-8", s, max, got)
		}
		if !cutted {
			if got != s || uniseg.GraphemeClusterCount(s) > max {
				t.Fatalf("cut(%q, %d) = %q and says that nothing is missing", s, max, got)
			}
			return
		}
		kept := strings.TrimSuffix(got, "…")
		if uniseg.GraphemeClusterCount(kept)+1 > max || !strings.HasPrefix(s, kept) {
			t.Fatalf("cut(%q, %d) = %q", s, max, got)
		}
		// What was kept, and the blanks taken off its end, are whole characters of s.
		end, whole := 0, kept == ""
		for g := uniseg.NewGraphemes(s); g.Next() && !whole; {
			_, end = g.Positions()
			whole = end >= len(kept) && strings.TrimRight(s[:end], " ") == kept
		}
		if !whole {
			t.Fatalf("cut(%q, %d) = %q ends within a character", s, max, got)
		}
	})
}

func TestTargetsAreEscapedOrRefused(t *testing.T) {
	for _, tt := range []struct{ give, want string }{
		{"https://gitee.com/a/b?x=1&y=2#note_3", "https://gitee.com/a/b?x=1&y=2#note_3"},
		{"HTTP://gitee.com", "HTTP://gitee.com"},
		{"dingtalk://dingtalkclient/page/link?url=https%3A%2F%2Fgitee.com", "dingtalk://dingtalkclient/page/link?url=https%3A%2F%2Fgitee.com"},
		{"https://gitee.com/a(b)/c d", "https://gitee.com/a%28b%29/c%20d"},
		{`https://gitee.com/<a>"'[]\*;` + "`@", "https://gitee.com/%3Ca%3E%22%27%5B%5D%5C%2A%3B%60%40"},
		{"https://gitee.com/中", "https://gitee.com/%E4%B8%AD"},
		{"https://gitee.com/?q=100%", "https://gitee.com/?q=100%25"},
		{"https://gitee.com/\u202e", "https://gitee.com/%E2%80%AE"},
		{"", ""},
		{"javascript:alert(1)", ""},
		{"data:text/html,x", ""},
		{"//evil.example", ""},
		{"/a/b", ""},
		{"https://", ""},
		{"https:gitee.com", ""},
		{"https://gitee.com@evil.example", ""},
		{"https://gitee.com/\n", ""},
		{"https://gitee.com/" + strings.Repeat("x", maxLink), ""},
		{"https://gitee.com/" + strings.Repeat("中", maxLink/9), ""},
	} {
		if got := target(tt.give); got != tt.want {
			t.Errorf("target(%q) = %q, want %q", tt.give, got, tt.want)
		}
	}
}

func TestExcerptsReadAsText(t *testing.T) {
	for name, tt := range map[string]struct {
		give   string
		want   []string
		cutted bool
	}{
		"headings, emphasis, links": {"## 标题 ##\n**粗** ~~删~~ `码` [文](https://x.com) ![图](https://x.com/i.png)", []string{"标题", "粗 删 码 文 [图片]"}, false},
		"lists":                     {"- 一\n* 二\n+ 三\n1. 四\n- [ ] 五\n- [x] 六", []string{"• 一", "• 二", "• 三", "1. 四", "☐ 五", "☑ 六"}, false},
		"code":                      {"```go\nx := **p\n```\n后", []string{"x := **p", "后"}, false},
		"table":                     {"| a | b |\n|---|:-:|\n| 1 | 2 |", []string{"a · b", "1 · 2"}, false},
		"rules and quotes":          {"> 引\n>> 用\n---\n***\n末", []string{"引", "用", "末"}, false},
		"HTML and comments":         {"<!-- 模板\n说明 --><details><summary>日志</summary>\n<img src=x>a<br/>b</details>", []string{"日志", "[图片]a b"}, false},
		"an open comment":           {"a <!-- b", []string{"a b"}, false},
		"no HTML":                   {"Map<String, T> x < y", []string{"Map＜String, T＞ x ＜ y"}, false},
		"a badge":                   {"[![构建](https://x.com/b.svg)](https://x.com/ci) 好", []string{"[图片] 好"}, false},
		"stars that are text":       {"2**3**4 * 5, a ** b", []string{"234 * 5, a ** b"}, false},
		"escapes":                   {`\*不斜\* \[x\]`, []string{"*不斜* [x]"}, false},
		"brackets that are text":    {"[WIP] a[0] (x) [y](", []string{"[WIP] a[0] (x) [y]("}, false},
		"blank lines":               {"\r\n\r\n a \r\n\r\n\r\nb\r\n", []string{"a", "b"}, false},
		"too many lines":            {strings.Repeat("x\n", 9), slices.Repeat([]string{"x"}, 8), true},
		"too many characters":       {strings.Repeat("长", 60) + "\n尾", []string{strings.Repeat("长", 49) + "…"}, true},
		"just enough":               {strings.Repeat("长", 50) + "\n\n", []string{strings.Repeat("长", 50)}, false},
		"full, and more":            {strings.Repeat("长", 50) + "\n尾", []string{strings.Repeat("长", 50)}, true},
		"nothing":                   {" \n<!-- -->\n", nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			got, cutted := excerpt(tt.give, "[图片]", 50, 8)
			if !slices.Equal(got, tt.want) || cutted != tt.cutted {
				t.Errorf("got %q, %v, want %q, %v", got, cutted, tt.want, tt.cutted)
			}
		})
	}
}

func TestTheCatalogueWritesNoMarkdownOfItsOwn(t *testing.T) {
	// Every literal of every sentence goes into Markdown unescaped.
	for _, s := range samples() {
		for _, repository := range []bool{true, false} {
			head, err := headline(wordingFor("zh-CN"), s.event, repository)
			if err != nil {
				t.Fatalf("%s: %v", s.name, err)
			}
			for _, x := range head {
				if x.kind == literal && escape(strings.TrimSpace(x.text)) != strings.TrimSpace(x.text) {
					t.Errorf("%s says %q", s.name, x.text)
				}
			}
		}
	}
}

func TestWhatCountsAsTameAtOnceIsLeftAloneByTheLongWay(t *testing.T) {
	for r := range rune(0x11000) {
		for _, s := range []string{string(r), "a" + string(r) + "b", string(r) + string(r)} {
			if got := disarm(clean(s)); isTame(s) && got != s {
				t.Fatalf("%U: tame leaves %q alone, and the long way makes %q of it", r, s, got)
			}
		}
	}
	for _, s := range []string{"汉\xff", "\xe6\xb1", "é\x00", "x\u3000", "я\u0483"} {
		if isTame(s) {
			t.Errorf("%q counts as tame", s)
		}
	}
}

func TestAddressesThatAreFitAtOnceAreSoWhenParsed(t *testing.T) {
	for _, a := range []string{"https://gitee.com", "http://a.b-c/d?e=f#g", "https://gitee.com/a:b//c", "https://-/", "https://./x;"} {
		u, err := url.Parse(a)
		if fit := err == nil && u.Host != "" && u.User == nil; isPlainWeb(a) && (!fit || target(a) != a) {
			t.Errorf("%s counts as fit: parsed %v, error %v", a, u, err)
		}
	}
	for _, a := range []string{"https://", "https:///x", "https://a@b", "https://a:x/", "ftp://a", "https://a/(b)", "https://a/%zz", "https://a\\b"} {
		if isPlainWeb(a) {
			t.Errorf("%s counts as fit", a)
		}
	}
}
