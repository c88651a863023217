// Package hostlist reads and writes lists of names in the short form of Slurm:
// "ws-[001-003,010]" is ws-001, ws-002, ws-003 and ws-010.
//
// A list is one or more items with commas between them. An item is a name, or text
// with numbers in brackets. A bracket holds numbers and ranges with commas between
// them. The numbers of a range have at least as many digits as its first one. With
// several brackets, the first one changes slowest. An item ends with its last
// bracket: "n[1-2]-ib" is refused, since versions of Slurm disagree about it.
package hostlist

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

const (
	// MaxNames is how many names one list may stand for.
	MaxNames = 65536
	// MaxName is how many bytes one name may have.
	MaxName = 255
	// maxDigits is how many digits one number may have: each such number is an int64.
	maxDigits = 18
)

// Error says why a text is no host list.
type Error struct {
	Text    string // the whole list
	Byte    int    // where in Text the fault is; the first byte is 0
	Problem string // what is wrong there
	Next    string // what to write instead
}

func (e *Error) Error() string {
	const most = 80
	shown := strconv.Quote(e.Text)
	if len(e.Text) > most {
		shown = strconv.Quote(e.Text[:most]) + "…"
	}
	return fmt.Sprintf("host list %s: %s at byte %d; %s", shown, e.Problem, e.Byte, e.Next)
}

// Parse returns the names that a list stands for, in its order. A name that the list
// has twice is returned twice. The names are not checked in any other way. Every error
// is an [*Error]. A list of more than [MaxNames] names is refused before any is made.
func Parse(text string) ([]string, error) {
	p := parser{text: text}
	var items []item
	total := 0
	for {
		began := p.at
		it, err := p.item()
		if err != nil {
			return nil, err
		}
		if total += it.names; total > MaxNames {
			return nil, p.fault(began, "too many names", fmt.Sprintf("write several lists of at most %d names", MaxNames))
		}
		items = append(items, it)
		if p.at == len(text) {
			break
		}
		p.at++ // the comma
	}
	out := make([]string, 0, total)
	for _, it := range items {
		out = it.expand(out, "", 0)
	}
	return out, nil
}

// item is a name, or text with brackets. It stands for names names.
type item struct {
	parts []part
	names int
}

// part is text and the bracket behind it. Without ranges there is no bracket.
type part struct {
	text   string
	ranges []span
}

// span is the numbers from low to high, with at least width digits.
type span struct {
	low, high int64
	width     int
}

// expand appends the names that begin with prefix and go on with the parts from n on.
func (it item) expand(out []string, prefix string, n int) []string {
	if n == len(it.parts) {
		return append(out, prefix)
	}
	prefix += it.parts[n].text
	if it.parts[n].ranges == nil {
		return it.expand(out, prefix, n+1)
	}
	for _, r := range it.parts[n].ranges {
		for i := r.low; i <= r.high; i++ {
			out = it.expand(out, fmt.Sprintf("%s%0*d", prefix, r.width, i), n+1)
		}
	}
	return out
}

// parser reads text from the byte at on.
type parser struct {
	text string
	at   int
}

func (p *parser) fault(at int, problem, next string) error {
	return &Error{Text: p.text, Byte: at, Problem: problem, Next: next}
}

// item reads up to a comma outside of brackets, or to the end.
func (p *parser) item() (item, error) {
	it := item{names: 1}
	began, bytes := p.at, 0
	for {
		from := p.at
		if n := strings.IndexAny(p.text[from:], "[],"); n >= 0 {
			p.at += n
		} else {
			p.at = len(p.text)
		}
		one := part{text: p.text[from:p.at]}
		bytes += len(one.text)
		opens := p.at < len(p.text) && p.text[p.at] == '['
		switch {
		case p.at < len(p.text) && p.text[p.at] == ']':
			return it, p.fault(p.at, `"]" without a "["`, `write a bracket as in n[1-3]`)
		case !opens && from > began && one.text != "": // behind a bracket
			return it, p.fault(from, fmt.Sprintf("%.20q behind the last bracket", one.text), "write each of these names, with commas between them")
		case !opens && p.at == began:
			return it, p.fault(p.at, "no name", "write a name, or leave out the comma")
		}
		if opens {
			names := 0
			var digits int
			var err error
			if one.ranges, names, digits, err = p.bracket(); err != nil {
				return it, err
			}
			bytes += digits
			if it.names *= names; it.names > MaxNames {
				return it, p.fault(began, "too many names", fmt.Sprintf("write several lists of at most %d names", MaxNames))
			}
		}
		if bytes > MaxName {
			return it, p.fault(began, fmt.Sprintf("a name of more than %d bytes", MaxName), "write a shorter name")
		}
		it.parts = append(it.parts, one)
		if !opens || p.at == len(p.text) || p.text[p.at] == ',' {
			return it, nil
		}
	}
}

// bracket reads from a "[" to behind its "]". It returns how many numbers there are,
// at most MaxNames, and how many digits the longest has.
func (p *parser) bracket() (ranges []span, names, digits int, err error) {
	open := p.at
	n := strings.IndexByte(p.text[open:], ']')
	if n < 0 {
		return nil, 0, 0, p.fault(open, `"[" without a "]"`, "write a bracket as in n[1-3], and quote it for the shell")
	}
	inside := p.text[open+1 : open+n]
	p.at = open + 1
	for piece := range strings.SplitSeq(inside, ",") {
		r, err := p.span(piece)
		if err != nil {
			return nil, 0, 0, err
		}
		// The difference is at most 10^18, so this sum does not overflow.
		if count := int64(names) + r.high - r.low + 1; count > MaxNames {
			return nil, 0, 0, p.fault(p.at, "too many names", fmt.Sprintf("write several lists of at most %d names", MaxNames))
		} else {
			names = int(count)
		}
		ranges = append(ranges, r)
		digits = max(digits, r.width, len(strconv.FormatInt(r.high, 10)))
		p.at += len(piece) + 1 // and the comma, or the "]"
	}
	return ranges, names, digits, nil
}

// span reads a number, or two with "-" between them. It begins at p.at.
func (p *parser) span(piece string) (span, error) {
	first, last, isRange := strings.Cut(piece, "-")
	low, err := p.number(first, p.at)
	if err != nil {
		return span{}, err
	}
	r := span{low: low, high: low, width: len(first)}
	if !isRange {
		return r, nil
	}
	if r.high, err = p.number(last, p.at+len(first)+1); err != nil {
		return span{}, err
	}
	if r.high < r.low {
		return span{}, p.fault(p.at, fmt.Sprintf("%q counts down", piece), fmt.Sprintf("write %s-%s", last, first))
	}
	return r, nil
}

func (p *parser) number(digits string, at int) (int64, error) {
	switch i := strings.IndexFunc(digits, func(r rune) bool { return r < '0' || r > '9' }); {
	case digits == "":
		return 0, p.fault(at, "no number", "write numbers and ranges, as in n[1-3,7]")
	case i >= 0:
		return 0, p.fault(at+i, fmt.Sprintf("%.20q is not a number", digits), "write numbers and ranges, as in n[1-3,7]")
	case len(digits) > maxDigits:
		return 0, p.fault(at, fmt.Sprintf("a number of %d digits", len(digits)), fmt.Sprintf("write at most %d digits", maxDigits))
	}
	return strconv.ParseInt(digits, 10, 64)
}

// Fold returns a list that stands for the names, in their order: [Parse] returns the
// same names again, up to [MaxNames] of them. Neighbours that differ in the number at
// their end share a bracket, so sort the names to get a short list: see [Compare]. No
// name may be empty or hold a comma or a bracket. Of no names it returns "".
func Fold(names []string) string {
	var b strings.Builder
	for i := 0; i < len(names); {
		if i > 0 {
			b.WriteByte(',')
		}
		text, number := split(names[i])
		end := i + 1
		for ; end < len(names) && number != ""; end++ {
			if t, n := split(names[end]); t != text || n == "" {
				break
			}
		}
		if end == i+1 {
			b.WriteString(names[i])
		} else {
			b.WriteString(text + "[")
			foldNumbers(&b, len(text), names[i:end])
			b.WriteByte(']')
		}
		i = end
	}
	return b.String()
}

// foldNumbers writes what stands behind the first skip bytes of each name: numbers.
func foldNumbers(b *strings.Builder, skip int, names []string) {
	for i := 0; i < len(names); {
		first := names[i][skip:]
		last, end := first, i+1
		for ; end < len(names) && names[end][skip:] == successor(last, len(first)); end++ {
			last = names[end][skip:]
		}
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(first)
		if end > i+1 {
			b.WriteString("-" + last)
		}
		i = end
	}
}

// successor returns the number behind one, with at least width digits.
func successor(number string, width int) string {
	n, _ := strconv.ParseInt(number, 10, 64)
	return fmt.Sprintf("%0*d", width, n+1)
}

// split cuts a name before the number at its end. A number has at most maxDigits.
func split(name string) (text, number string) {
	at := len(name)
	for at > 0 && len(name)-at < maxDigits && name[at-1] >= '0' && name[at-1] <= '9' {
		at--
	}
	return name[:at], name[at:]
}

// Compare orders names for people: ws-9 comes before ws-10.
func Compare(a, b string) int {
	textA, numberA := split(a)
	textB, numberB := split(b)
	nA, _ := strconv.ParseInt(numberA, 10, 64)
	nB, _ := strconv.ParseInt(numberB, 10, 64)
	return cmp.Or(cmp.Compare(textA, textB), cmp.Compare(nA, nB), cmp.Compare(len(numberA), len(numberB)))
}
