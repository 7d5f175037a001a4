package event

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// Bounds of an event file. They keep the work of one request small whatever the file says.
const (
	maxFileBytes = 256 << 10
	maxNodes     = 50_000
	maxDepth     = 16
)

// yamlError takes apart what the YAML reader says, which knows lines but no columns.
var yamlError = regexp.MustCompile(`^yaml: (?:line (\d+): )?(?s:(.*))$`)

// Parse reads an event file. The error is Problems: every mistake in the file at once, each with line, column and path.
func Parse(file []byte) (Spec, error) {
	d := &decoder{complaints: complaints{at: make(map[string]position)}, bad: make(map[string]bool)}
	root := d.read(file)
	if root == nil {
		return Spec{}, d.err()
	}
	var s Spec
	d.event(root, &s)
	s.at = d.at
	d.check(&s)
	if err := d.err(); err != nil {
		return Spec{}, err
	}
	return s, nil
}

// read gets the one document of a file; nil after complaints about the file as a whole.
func (d *decoder) read(file []byte) *yaml.Node {
	start := position{1, 1}
	if len(file) > maxFileBytes {
		d.addAt(start, "", "the file has %d bytes, at most %d are read", len(file), maxFileBytes)
		return nil
	}
	reader := yaml.NewDecoder(bytes.NewReader(file))
	var document, second yaml.Node
	switch err := reader.Decode(&document); {
	case errors.Is(err, io.EOF):
		d.addAt(start, "", "the file is empty")
		return nil
	case err != nil:
		d.addSyntax(err)
		return nil
	}
	switch err := reader.Decode(&second); {
	case err == nil:
		d.addAt(position{second.Line, second.Column}, "", "one file describes one event; a second document starts here")
		return nil
	case !errors.Is(err, io.EOF):
		d.addSyntax(err)
		return nil
	}
	nodes := 0
	d.survey(&document, 0, &nodes)
	if len(d.problems) > 0 {
		return nil
	}
	if len(document.Content) != 1 {
		d.addAt(start, "", "the file is empty")
		return nil
	}
	return document.Content[0]
}

func (d *decoder) addSyntax(err error) {
	at, message := position{1, 1}, err.Error()
	if m := yamlError.FindStringSubmatch(message); m != nil {
		message = m[2]
		if line, err := strconv.Atoi(m[1]); err == nil {
			at.line = line
		}
	}
	d.addAt(at, "", "not YAML: %s", message)
}

// survey refuses what an event file has no use for and what would make it larger than it looks.
func (d *decoder) survey(n *yaml.Node, depth int, nodes *int) {
	at := position{n.Line, n.Column}
	*nodes++
	switch {
	case *nodes == maxNodes:
		d.addAt(at, "", "the file has more than %d values", maxNodes)
		return
	case *nodes > maxNodes:
		return
	case depth > maxDepth:
		d.addAt(at, "", "values are nested more than %d deep", maxDepth)
		return
	case n.Kind == yaml.AliasNode:
		d.addAt(at, "", "aliases are not supported: write the value out")
	case n.Anchor != "":
		d.addAt(at, "", "anchors are not supported: write the value out")
	case n.Style&yaml.TaggedStyle != 0:
		d.addAt(at, "", "tags such as %s are not supported", clip(n.Tag))
	}
	for _, child := range n.Content {
		d.survey(child, depth+1, nodes)
	}
}
