package natstest

import (
	"testing"

	"github.com/nats-io/nats.go/jetstream"
)

func TestMain(m *testing.M) {
	MaybeServe()
	VerifyTestMain(m)
}

func TestClusterElectsAnotherLeaderAndTakesTheOldOneBack(t *testing.T) {
	c := NewCluster(t, 3)
	nc, err := c.Connect()
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}, Replicas: 3})
	if err != nil {
		t.Fatal(err)
	}
	c.WaitReady()
	dead := c.StreamLeader("S")
	c.Kill(dead)
	frozen := c.StreamLeader("S")
	if frozen == dead {
		t.Errorf("the dead server %d still leads", dead)
	}
	c.Start(dead)
	c.WaitReady()
	c.Stop(frozen)
	if c.StreamLeader("S") == frozen {
		t.Errorf("the frozen server %d still leads", frozen)
	}
	c.Cont(frozen)
	c.WaitReady()
}
