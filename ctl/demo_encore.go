package ctl

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"fairgate/loadtest"

	"go.yaml.in/yaml/v3"
)

// The encore is the on-sale that a person can join once the demo is over and goes on running: the same event another night, with the
// times of its file, so that there is time to look around. Some rehearsed buyers join as well, so that there is a line and
// seats are taken while one looks.
const (
	encoreSuffix  = "-encore"
	encoreCompany = 150                     // rehearsed buyers
	encoreIn      = time.Minute             // from now to the opening
	encoreStays   = time.Hour - time.Minute // how long the company would stay at most; most leave when they have bought
)

// encoreEvent is an event file's other night: its text and id.
func encoreEvent(path string) (text []byte, id string, err error) {
	doc, name, err := readEvent(path)
	if err != nil {
		return nil, "", err
	}
	name.Value += encoreSuffix
	if title := valueOf(doc.Content[0], "name"); title != nil {
		title.Value += " (encore)"
	}
	if text, err = yaml.Marshal(doc); err != nil {
		return nil, "", fmt.Errorf("write the encore of %s: %w", path, err)
	}
	return text, name.Value, nil
}

// encorePlan is the company's: people who come around the opening and take their time.
func encorePlan(slug string, seed uint64, a addresses) loadtest.Plan {
	p := demoPlan(demoFlags{buyers: encoreCompany, seed: seed}, slug, a)
	p.Name, p.Opening.In, p.Afterwards = "company", 0, loadtest.AfterwardsPlan{}
	p.Targets.Gate = ""
	p.Arrivals = []loadtest.ArrivalPlan{
		{From: loadtest.Duration(-encoreIn / 2), To: loadtest.Duration(-time.Second), Share: 0.5, Shape: loadtest.ShapeRamp},
		{From: loadtest.Duration(-time.Second), To: loadtest.Duration(2 * time.Minute), Share: 0.5, Shape: loadtest.ShapePoisson},
	}
	p.Buyers.Patience = loadtest.Duration(10 * time.Minute)
	p.Buyers.Think = loadtest.ThinkPlan{Choose: loadtest.Duration(20 * time.Second), Fill: loadtest.Duration(15 * time.Second), Card: loadtest.Duration(15 * time.Second)}
	p.Limits.Duration, p.Limits.MaxConnections = loadtest.Duration(encoreStays), 200
	return p
}

// encore puts the other night on sale a minute from now and sends the company, which lives on when the demo's command has ended.
func (s *stage) encore(ctx context.Context, f demoFlags) (slug string, opens time.Time, err error) {
	text, slug, err := encoreEvent(f.event)
	if err != nil {
		return "", time.Time{}, err
	}
	admin, err := loadtest.NewAdmin("http://"+s.CoreAdmin, s.SecretFile)
	if err != nil {
		return "", time.Time{}, err
	}
	if err := admin.Apply(ctx, text); err != nil {
		return "", time.Time{}, fmt.Errorf("apply the encore: %w", err)
	}
	opens = time.Now().Add(encoreIn).Truncate(time.Second)
	if err := admin.Schedule(ctx, slug, time.Now(), opens); err != nil {
		return "", time.Time{}, fmt.Errorf("schedule the encore: %w", err)
	}
	plan, err := yaml.Marshal(encorePlan(slug, f.seed, s.addresses))
	if err == nil {
		err = os.WriteFile(s.file("company.yaml"), plan, 0o600) // it has the database's password
	}
	if err != nil {
		return "", time.Time{}, fmt.Errorf("write the plan of the encore's company: %w", err)
	}
	self, err := os.Executable()
	if err != nil {
		return "", time.Time{}, fmt.Errorf("find this program: %w", err)
	}
	if _, err := s.nursery.start("company", s.file("company.log"), self, "rehearse", "-f", s.file("company.yaml"), "--report", filepath.Join(s.dir, "company.html")); err != nil {
		return "", time.Time{}, err
	}
	return slug, opens, nil
}
