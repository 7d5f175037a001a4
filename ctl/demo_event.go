package ctl

import (
	"fmt"
	"os"
	"path/filepath"

	"fairgate/loadtest"

	"go.yaml.in/yaml/v3"
)

// demoTimes are what the demo changes in an event file, so that a whole sale fits into two minutes. In a real event a hold lives ten
// minutes and a window lasts thirty seconds.
var demoTimes = []struct{ section, key, value string }{
	{"hold", "ttl", "20s"},
	{"hold", "payment_extension", "20s"},
	{"on_sale", "joining_before", "30s"},
	{"on_sale", "window", "5s"},
	{"on_sale", "session_ttl", "90s"},
	{"on_sale", "claim_within", "15s"},
}

// demoEvent reads an event file, gives it the demo's times, and tells its id. Comments and everything else stay as they are.
func demoEvent(path string) (text []byte, id string, err error) {
	doc, name, err := readEvent(path)
	if err != nil {
		return nil, "", err
	}
	root := doc.Content[0]
	for _, t := range demoTimes {
		section := valueOf(root, t.section)
		if section == nil {
			section = &yaml.Node{Kind: yaml.MappingNode}
			root.Content = append(root.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: t.section}, section)
		}
		value := valueOf(section, t.key)
		if value == nil {
			value = &yaml.Node{Kind: yaml.ScalarNode}
			section.Content = append(section.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: t.key}, value)
		}
		value.Value, value.Tag, value.Style = t.value, "!!str", 0
	}
	if text, err = yaml.Marshal(doc); err != nil {
		return nil, "", fmt.Errorf("write the demo's copy of %s: %w", path, err)
	}
	return text, name.Value, nil
}

// readEvent reads an event file as a document with one mapping; id is where its id stands.
func readEvent(path string) (doc *yaml.Node, id *yaml.Node, err error) {
	original, err := os.ReadFile(path)
	if os.IsNotExist(err) && !filepath.IsAbs(path) {
		// The programs lie in bin/ beside configs/, wherever they are started from.
		if self, selfErr := os.Executable(); selfErr == nil {
			original, err = os.ReadFile(filepath.Join(filepath.Dir(self), "..", path))
		}
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read the event: %w", err)
	}
	doc = new(yaml.Node)
	if err := yaml.Unmarshal(original, doc); err != nil {
		return nil, nil, fmt.Errorf("read the event %s: %w", path, err)
	}
	if len(doc.Content) != 1 || doc.Content[0].Kind != yaml.MappingNode {
		return nil, nil, fmt.Errorf("read the event %s: it is not a list of keys and values", path)
	}
	if id = valueOf(doc.Content[0], "id"); id == nil || id.Value == "" {
		return nil, nil, fmt.Errorf("read the event %s: it has no id", path)
	}
	return doc, id, nil
}

// demoGates are two gates for each zone of an event file, or two of the whole venue.
func demoGates(event []byte) ([]loadtest.GatePlan, error) {
	var file struct {
		Gates struct {
			Zones []struct {
				ID string `yaml:"id"`
			} `yaml:"zones"`
		} `yaml:"gates"`
	}
	if err := yaml.Unmarshal(event, &file); err != nil {
		return nil, err
	}
	var gates []loadtest.GatePlan
	for _, zone := range file.Gates.Zones {
		gates = append(gates, loadtest.GatePlan{Name: zone.ID + "-left", Zone: zone.ID}, loadtest.GatePlan{Name: zone.ID + "-right", Zone: zone.ID})
	}
	if gates == nil {
		gates = []loadtest.GatePlan{{Name: "left"}, {Name: "right"}}
	}
	return gates, nil
}

// valueOf is the value of a key of a mapping, or nil.
func valueOf(mapping *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key {
			return mapping.Content[i+1]
		}
	}
	return nil
}
