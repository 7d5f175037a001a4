package loadtest

import (
	"fmt"
	"html/template"
	"math"
	"strconv"
	"strings"
)

// A chart's plane in SVG user units; the page scales it to its width.
const (
	chartWidth  = 720.0
	chartHeight = 240.0
	chartLeft   = 56.0
	chartRight  = 12.0
	chartTop    = 12.0
	chartBottom = 28.0
)

// series is one line of a chart. A NaN breaks the line: nothing happened in that second.
type series struct {
	Name   string
	Color  int // 1 to 4, a colour of the page's palette
	Values []float64
	Area   bool
	Unit   string
}

// Last is the last value there is, for the legend.
func (s series) Last() string {
	for i := len(s.Values) - 1; i >= 0; i-- {
		if !math.IsNaN(s.Values[i]) {
			return figure(s.Values[i]) + s.Unit
		}
	}
	return "–"
}

// Peak is the highest value, for the legend.
func (s series) Peak() string {
	peak := math.NaN()
	for _, v := range s.Values {
		if math.IsNaN(peak) || v > peak {
			peak = v
		}
	}
	if math.IsNaN(peak) {
		return "–"
	}
	return figure(peak) + s.Unit
}

// chart is lines over the seconds of the rehearsal. The opening instant is marked.
type chart struct {
	Title  string
	Note   string
	Unit   string
	Log    bool // logarithmic from 1 up: latencies over several orders of magnitude
	T      []float64
	Series []series
}

// axis maps values to the plane and knows its ticks.
type axis struct {
	low, high float64
	from, to  float64
	log       bool
	ticks     []float64
}

func (a axis) at(v float64) float64 {
	low, high := a.low, a.high
	if a.log {
		low, high, v = math.Log10(low), math.Log10(high), math.Log10(max(v, a.low))
	}
	if high == low {
		return a.from
	}
	return a.from + (v-low)/(high-low)*(a.to-a.from)
}

// SVG draws the chart. Everything in it is a number or escaped, so it may stand in a page as it is.
func (c chart) SVG() template.HTML {
	x, y := c.axes()
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %g %g" role="img" aria-label="%s">`, chartWidth, chartHeight, template.HTMLEscapeString(c.Title))
	for _, v := range y.ticks {
		at := y.at(v)
		fmt.Fprintf(&b, `<line class="grid" x1="%g" x2="%g" y1="%.1f" y2="%.1f"/><text class="tick" x="%g" y="%.1f" text-anchor="end">%s</text>`,
			chartLeft, chartWidth-chartRight, at, at, chartLeft-6, at+4, figure(v)+c.Unit)
	}
	for _, v := range x.ticks {
		fmt.Fprintf(&b, `<text class="tick" x="%.1f" y="%g" text-anchor="middle">%s</text>`, x.at(v), chartHeight-8, secondsLabel(v))
	}
	if x.low <= 0 && x.high >= 0 {
		fmt.Fprintf(&b, `<line class="opening" x1="%.1f" x2="%.1f" y1="%g" y2="%g"/><text class="opening-text" x="%.1f" y="%g">sale opens</text>`,
			x.at(0), x.at(0), chartTop, chartHeight-chartBottom, x.at(0)+5, chartTop+10)
	}
	for _, s := range c.Series {
		c.line(&b, s, x, y)
	}
	c.hovers(&b, x)
	b.WriteString(`</svg>`)
	return template.HTML(b.String())
}

func (c chart) axes() (x, y axis) {
	x = axis{from: chartLeft, to: chartWidth - chartRight, low: math.Inf(1), high: math.Inf(-1)}
	for _, t := range c.T {
		x.low, x.high = min(x.low, t), max(x.high, t)
	}
	if len(c.T) == 0 {
		x.low, x.high = 0, 1
	}
	for v, step := math.Ceil(x.low/10)*10, tickStep(x.high-x.low, 8); v <= x.high; v += step {
		x.ticks = append(x.ticks, v)
	}
	y = axis{from: chartHeight - chartBottom, to: chartTop, log: c.Log, high: 1}
	for _, s := range c.Series {
		for _, v := range s.Values {
			if !math.IsNaN(v) {
				y.high = max(y.high, v)
			}
		}
	}
	if c.Log {
		y.low, y.high = 0.1, math.Pow(10, math.Ceil(math.Log10(y.high*1.01)))
		for v := y.low; v <= y.high*1.001; v *= 10 {
			y.ticks = append(y.ticks, v)
		}
		return x, y
	}
	step := tickStep(y.high, 4)
	y.high = math.Ceil(y.high/step) * step
	for v := 0.0; v <= y.high*1.001; v += step {
		y.ticks = append(y.ticks, v)
	}
	return x, y
}

// line draws one series, in pieces where there are gaps.
func (c chart) line(b *strings.Builder, s series, x, y axis) {
	for i := 0; i < len(s.Values); i++ {
		if math.IsNaN(s.Values[i]) {
			continue
		}
		var path strings.Builder
		first := i
		for ; i < len(s.Values) && !math.IsNaN(s.Values[i]); i++ {
			cmd := "L"
			if i == first {
				cmd = "M"
			}
			fmt.Fprintf(&path, "%s%.1f %.1f", cmd, x.at(c.T[i]), y.at(s.Values[i]))
		}
		if s.Area && i-first > 1 {
			fmt.Fprintf(b, `<path class="area s%d" d="%sL%.1f %.1fL%.1f %.1fZ"/>`, s.Color, path.String(), x.at(c.T[i-1]), y.from, x.at(c.T[first]), y.from)
		}
		if i-first == 1 {
			fmt.Fprintf(b, `<circle class="dot s%d" cx="%.1f" cy="%.1f" r="2"/>`, s.Color, x.at(c.T[first]), y.at(s.Values[first]))
			continue
		}
		fmt.Fprintf(b, `<path class="line s%d" d="%s"/>`, s.Color, path.String())
	}
}

// hovers puts an invisible strip over every second that tells its values.
func (c chart) hovers(b *strings.Builder, x axis) {
	if len(c.T) < 2 {
		return
	}
	width := (x.to - x.from) / float64(len(c.T)-1)
	for i, t := range c.T {
		fmt.Fprintf(b, `<rect class="hover" x="%.1f" y="%g" width="%.1f" height="%g"><title>%s`, x.at(t)-width/2, chartTop, width, chartHeight-chartTop-chartBottom, secondsLabel(math.Round(t)))
		for _, s := range c.Series {
			if v := s.Values[i]; !math.IsNaN(v) {
				fmt.Fprintf(b, "\n%s %s%s", template.HTMLEscapeString(s.Name), figure(v), s.Unit)
			}
		}
		b.WriteString(`</title></rect>`)
	}
}

// tickStep is a round distance that gives at most n ticks.
func tickStep(span float64, n int) float64 {
	if span <= 0 {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(span/float64(n))))
	for _, m := range []float64{1, 2, 5, 10} {
		if span/(m*power) <= float64(n) {
			return m * power
		}
	}
	return 10 * power
}

func secondsLabel(t float64) string {
	if t > 0 {
		return "+" + figure(t) + " s"
	}
	return figure(t) + " s"
}

// figure writes a number for people: thousands separated, three digits at most below ten.
func figure(v float64) string {
	switch {
	case math.IsNaN(v):
		return "–"
	case math.Abs(v) >= 100 || v == math.Trunc(v):
		return thousands(int64(math.Round(v)))
	case math.Abs(v) >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strings.TrimRight(strings.TrimRight(strconv.FormatFloat(v, 'f', 2, 64), "0"), ".")
}
