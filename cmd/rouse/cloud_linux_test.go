package main

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// cloud is moto, which simulates EC2 here, with two stopped instances. One has the name
// that the page gives. The page starts the other by its id, without a settings file. A
// desktop answers at the address of each.
func cloud(t *testing.T, f *follower) {
	path, err := exec.LookPath("moto_server")
	if err != nil {
		missing(t, "no moto_server: pip install 'moto[server]'")
	}
	const at = "http://127.0.0.1:5000"
	moto := exec.Command(path, "-H", "127.0.0.1", "-p", "5000")
	moto.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := moto.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = moto.Process.Kill(), moto.Wait() })
	within(t, time.Minute, "moto", func() bool {
		resp, err := http.Get(at + "/moto-api/")
		if err == nil {
			_ = resp.Body.Close()
		}
		return err == nil
	})
	f.env = append(f.env, "AWS_ENDPOINT_URL="+at)
	client := ec2.New(ec2.Options{
		Region: "us-west-2", BaseEndpoint: aws.String(at), Credentials: credentials.NewStaticCredentialsProvider(keyID, secret, ""),
	})
	named, other := stopped(t, client, "ws-042"), stopped(t, client, "ws-043")
	f.then = append(f.then, func() {
		f.shell(t, "rouse --transport ec2 --region us-west-2 start us-west-2 "+other+" --wait")
		for _, id := range []string{named, other} {
			if got := state(t, client, id); got != types.InstanceStateNameRunning {
				t.Errorf("instance %s is %s", id, got)
			}
		}
	})
}

// stopped makes a stopped instance. A desktop answers at its address.
func stopped(t *testing.T, client *ec2.Client, name string) string {
	t.Helper()
	made, err := client.RunInstances(t.Context(), &ec2.RunInstancesInput{
		ImageId: aws.String("ami-12c6146b"), InstanceType: types.InstanceTypeG5Xlarge, MinCount: aws.Int32(1), MaxCount: aws.Int32(1),
		TagSpecifications: []types.TagSpecification{{
			ResourceType: types.ResourceTypeInstance, Tags: []types.Tag{{Key: aws.String("Name"), Value: aws.String(name)}},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	id, address := *made.Instances[0].InstanceId, *made.Instances[0].PrivateIpAddress
	if _, err := client.StopInstances(t.Context(), &ec2.StopInstancesInput{InstanceIds: []string{id}}); err != nil {
		t.Fatal(err)
	}
	if got := state(t, client, id); got != types.InstanceStateNameStopped {
		t.Fatalf("instance %s is %s", id, got)
	}
	ip(t, "addr add "+address+"/32 dev lo")
	desktop := httptest.NewUnstartedServer(http.NotFoundHandler())
	_ = desktop.Listener.Close()
	if desktop.Listener, err = net.Listen("tcp4", address+":8443"); err != nil {
		t.Fatal(err)
	}
	desktop.TLS = &tls.Config{MinVersion: tls.VersionTLS13}
	desktop.StartTLS()
	t.Cleanup(desktop.Close)
	return id
}

func state(t *testing.T, client *ec2.Client, id string) types.InstanceStateName {
	t.Helper()
	got, err := client.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{InstanceIds: []string{id}})
	if err != nil {
		t.Fatal(err)
	}
	return got.Reservations[0].Instances[0].State.Name
}
