package dingtalk

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestEncodeWritesDingTalksSpelling(t *testing.T) {
	for _, test := range []struct {
		name string
		m    Message
		uuid string
		want string
	}{
		{
			name: "text with mentions",
			m:    Message{Text{"构建失败 <b> & @15012345678"}, Mentions{Mobiles: []string{"15012345678"}, UserIDs: []string{"u1"}}},
			uuid: "id-1",
			want: `{"msgtype":"text","text":{"content":"构建失败 <b> & @15012345678"},"at":{"atMobiles":["15012345678"],"atUserIds":["u1"],"isAtAll":false},"msgUuid":"id-1"}`,
		},
		{
			name: "markdown to all",
			m:    Message{Markdown{"标题", "# 标题\n\n- a"}, Mentions{All: true}},
			want: `{"msgtype":"markdown","markdown":{"title":"标题","text":"# 标题\n\n- a"},"at":{"isAtAll":true}}`,
		},
		{
			name: "link without picture",
			m:    Message{Content: Link{Title: "t", Text: "x", MessageURL: "https://a.example/?a=1&b=2"}},
			want: `{"msgtype":"link","link":{"title":"t","text":"x","messageUrl":"https://a.example/?a=1&b=2"}}`,
		},
		{
			name: "link with picture",
			m:    Message{Content: Link{"t", "x", "https://a.example", "https://p.example"}},
			want: `{"msgtype":"link","link":{"title":"t","text":"x","messageUrl":"https://a.example","picUrl":"https://p.example"}}`,
		},
		{
			name: "action card with one button",
			m:    Message{Content: ActionCard{Title: "t", Text: "x", SingleTitle: "read", SingleURL: "https://a.example"}},
			want: `{"msgtype":"actionCard","actionCard":{"title":"t","text":"x","singleTitle":"read","singleURL":"https://a.example"}}`,
		},
		{
			name: "action card with buttons in a column",
			m:    Message{Content: ActionCard{Title: "t", Text: "x", Buttons: []Button{{"a", "https://a.example"}}}},
			want: `{"msgtype":"actionCard","actionCard":{"title":"t","text":"x","btns":[{"title":"a","actionURL":"https://a.example"}],"btnOrientation":"0"}}`,
		},
		{
			name: "action card with buttons in a row",
			m:    Message{Content: ActionCard{Title: "t", Text: "x", Buttons: []Button{{"a", "https://a.example"}, {"b", "https://b.example"}}, Horizontal: true}},
			want: `{"msgtype":"actionCard","actionCard":{"title":"t","text":"x","btns":[{"title":"a","actionURL":"https://a.example"},{"title":"b","actionURL":"https://b.example"}],"btnOrientation":"1"}}`,
		},
		{
			name: "feed card",
			m:    Message{Content: FeedCard{[]FeedLink{{"t", "https://a.example", "https://p.example"}}}},
			want: `{"msgtype":"feedCard","feedCard":{"links":[{"title":"t","messageURL":"https://a.example","picURL":"https://p.example"}]}}`,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := Encode(test.m, test.uuid)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, string(got)); diff != "" {
				t.Errorf("body (-want +got):\n%s", diff)
			}
			var back Message
			if err := json.Unmarshal(got, &back); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.m, back); diff != "" {
				t.Errorf("read back (-want +got):\n%s", diff)
			}
		})
	}
}

func TestMessageSurvivesAnOuterStruct(t *testing.T) {
	type record struct{ Body json.RawMessage }
	m := Message{Markdown{"a <b> & c", "x"}, Mentions{All: true}}
	body, err := Encode(m, "id-1")
	if err != nil {
		t.Fatal(err)
	}
	stored, err := json.Marshal(record{body})
	if err != nil {
		t.Fatal(err)
	}
	var r record
	if err := json.Unmarshal(stored, &r); err != nil {
		t.Fatal(err)
	}
	var back Message
	if err := json.Unmarshal(r.Body, &back); err != nil {
		t.Fatal(err)
	}
	again, err := Encode(back, "id-1")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(body, again) {
		t.Errorf("after storing: %s\nbefore: %s", again, body)
	}
}

func TestEncodeRefuses(t *testing.T) {
	people := make([]string, 26)
	for i := range people {
		people[i] = strings.Repeat("1", i+5)
	}
	var none *Text
	for _, test := range []struct {
		name  string
		m     Message
		uuid  string
		field string
	}{
		{"no content", Message{}, "", "content"},
		{"a pointer", Message{Content: &Text{"x"}}, "", "content"},
		{"a nil pointer", Message{Content: none}, "", "content"},
		{"text without content", Message{Content: Text{}}, "", "text.content"},
		{"text that is not UTF-8", Message{Content: Text{"a\xff"}}, "", "text.content"},
		{"markdown without title", Message{Content: Markdown{Text: "x"}}, "", "markdown.title"},
		{"markdown without text", Message{Content: Markdown{Title: "x"}}, "", "markdown.text"},
		{"link without title", Message{Content: Link{Text: "x", MessageURL: "x"}}, "", "link.title"},
		{"link without text", Message{Content: Link{Title: "x", MessageURL: "x"}}, "", "link.text"},
		{"link without address", Message{Content: Link{Title: "x", Text: "x"}}, "", "link.messageUrl"},
		{"link with mentions", Message{Link{"x", "x", "x", ""}, Mentions{All: true}}, "", "at"},
		{"card without title", Message{Content: ActionCard{Text: "x", SingleTitle: "x", SingleURL: "x"}}, "", "actionCard.title"},
		{"card without text", Message{Content: ActionCard{Title: "x", SingleTitle: "x", SingleURL: "x"}}, "", "actionCard.text"},
		{"card without buttons", Message{Content: ActionCard{Title: "x", Text: "x"}}, "", "actionCard.btns"},
		{"card with half a button", Message{Content: ActionCard{Title: "x", Text: "x", SingleTitle: "x"}}, "", "actionCard.singleURL"},
		{"card with both kinds", Message{Content: ActionCard{Title: "x", Text: "x", SingleTitle: "x", SingleURL: "x", Buttons: []Button{{"x", "x"}}}}, "", "actionCard.btns"},
		{"card with a button without address", Message{Content: ActionCard{Title: "x", Text: "x", Buttons: []Button{{"x", "x"}, {"x", ""}}}}, "", "actionCard.btns[1].actionURL"},
		{"feed card without links", Message{Content: FeedCard{}}, "", "feedCard.links"},
		{"feed card without picture", Message{Content: FeedCard{[]FeedLink{{"x", "x", ""}}}}, "", "feedCard.links[0].picURL"},
		{"feed card with mentions", Message{FeedCard{[]FeedLink{{"x", "x", "x"}}}, Mentions{Mobiles: people[:1]}}, "", "at"},
		{"51 mentions", Message{Text{"x"}, Mentions{Mobiles: people[:26], UserIDs: people[:25]}}, "", "at"},
		{"empty mention", Message{Text{"x"}, Mentions{UserIDs: []string{""}}}, "", "at.atUserIds"},
		{"long uuid", Message{Content: Text{"x"}}, strings.Repeat("a", 65), "msgUuid"},
		{"uuid with a blank", Message{Content: Text{"x"}}, "a b", "msgUuid"},
		{"uuid beyond ASCII", Message{Content: Text{"x"}}, "é", "msgUuid"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := Encode(test.m, test.uuid)
			fault, ok := errors.AsType[*MessageError](err)
			if !ok || fault.Field != test.field {
				t.Errorf("error %v, want a MessageError about %s", err, test.field)
			}
		})
	}
}

func TestEncodeKeepsToTheLimitToTheByte(t *testing.T) {
	empty, err := Encode(Message{Content: Text{"x"}}, "id")
	if err != nil {
		t.Fatal(err)
	}
	room := MaxBody - len(empty) + 1
	body, err := Encode(Message{Content: Text{strings.Repeat("x", room)}}, "id")
	if err != nil || len(body) != MaxBody {
		t.Errorf("%d bytes, %v; want %d and no error", len(body), err, MaxBody)
	}
	_, err = Encode(Message{Content: Text{strings.Repeat("x", room+1)}}, "id")
	if size, ok := errors.AsType[*SizeError](err); !ok || size.Bytes != MaxBody+1 {
		t.Errorf("error %v, want a SizeError of %d bytes", err, MaxBody+1)
	}
}

func TestUnmarshalReadsForeignMessages(t *testing.T) {
	var m Message
	err := json.Unmarshal([]byte(` {"actionCard":{"title":"t","btns":[],"btnOrientation":1,"hideAvatar":"0"},"msgtype":"actionCard","at":{"atMobiles":[]},"extra":1} `), &m)
	if err != nil {
		t.Fatal(err)
	}
	want := Message{Content: ActionCard{Title: "t", Horizontal: true}}
	if diff := cmp.Diff(want, m); diff != "" {
		t.Errorf("message (-want +got):\n%s", diff)
	}
	for _, bad := range []string{`{}`, `null`, `[]`, `{"msgtype":"image"}`, `{"msgtype":"text"}`, `{"msgtype":"text","text":null}`, `{"msgtype":"text","text":{"content":1}}`} {
		if err := m.UnmarshalJSON([]byte(bad)); err == nil {
			t.Errorf("%s was read as %v", bad, m)
		}
		if diff := cmp.Diff(want, m); diff != "" {
			t.Errorf("%s changed the message (-want +got):\n%s", bad, diff)
		}
	}
}

func FuzzMessage(f *testing.F) {
	for _, seed := range []string{
		`{"msgtype":"text","text":{"content":"a"},"at":{"atMobiles":["1"],"isAtAll":true},"msgUuid":"x"}`,
		`{"msgtype":"markdown","markdown":{"title":"\u003c","text":"\ud800"}}`,
		`{"msgtype":"link","link":{"messageUrl":"u","picUrl":"p"}}`,
		`{"msgtype":"actionCard","actionCard":{"btns":[{"title":"a","actionURL":"b"}],"btnOrientation":"1"}}`,
		`{"msgtype":"feedCard","feedCard":{"links":[{"title":"a","messageURL":"b","picURL":"c"}]}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var m Message
		if json.Unmarshal(data, &m) != nil {
			return
		}
		body, err := m.MarshalJSON()
		if err != nil {
			t.Fatalf("%v can't be written: %v", m, err)
		}
		var back Message
		if err := json.Unmarshal(body, &back); err != nil {
			t.Fatalf("%s can't be read back: %v", body, err)
		}
		if diff := cmp.Diff(m, back, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("read back (-want +got):\n%s", diff)
		}
		if exact, err := Encode(m, ""); err == nil && !bytes.Equal(exact, body) {
			t.Errorf("Encode and MarshalJSON differ:\n%s\n%s", exact, body)
		}
	})
}

func BenchmarkEncode(b *testing.B) {
	m := Message{Markdown{"张三 推送了 3 个提交", strings.Repeat("- [a1b2c3d](https://gitee.com/x/y/commit/a1b2c3d) 修复 <T> 的问题  \n", 100)}, Mentions{Mobiles: []string{"15012345678"}}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Encode(m, "3f0c1f9e-2f6b-4a7e-9d43-0c5a6c1e2b11"); err != nil {
			b.Fatal(err)
		}
	}
}
