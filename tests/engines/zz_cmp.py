import json, os, re, sys
from docker import *
import time
@test(timeout=500)
def test_cmp():
    d=Docker(config={"runtimes":{"nsrun":{"path":runtime()},"other":{"path":"/usr/sbin/runc"}}})
    d.image()
    def norm(t):
        t=re.sub(r"[0-9a-f]{64}","ID",t); t=re.sub(r"[0-9a-f]{12}\b","ID",t); return t
    cases=[
     ["run","--rm","busybox","/nothing"],["run","--rm","busybox","nothing"],["run","--rm","busybox","/etc/passwd"],["run","--rm","busybox","/etc"],
     ["run","--rm","-w","/etc/passwd","busybox","true"],["run","--rm","-w","/new/dir","busybox","pwd"],
     ["run","--rm","-u","nobody2","busybox","true"],["run","--rm","-u","5000:6000","busybox","id"],
     ["run","--rm","-v","/etc/passwd:/etc","busybox","true"],["run","--rm","--device","/dev/nonexist","busybox","true"],
     ["run","--rm","--sysctl","kernel.shm_rmid_forced=what","busybox","true"],["run","--rm","--sysctl","net.core.somaxconn=123","busybox","cat","/proc/sys/net/core/somaxconn"],
     ["run","--rm","-m","6m","busybox","true"],["run","--rm","-m","16m","--memory-swap","16m","busybox","tail","/dev/zero"],
     ["run","--rm","--cpuset-cpus","99","busybox","true"],["run","--rm","--ulimit","nofile=99999999","busybox","true"],
     ["run","--rm","--entrypoint","","busybox","sh","-c","kill -9 $$"],["run","--rm","busybox","sh","-c","kill -TERM $$; exit 5"],
     ["run","--rm","--pids-limit","5","busybox","sh","-c","for i in 1 2 3 4 5 6 7 8; do sleep 1 & done; echo all"],
     ["run","--rm","--read-only","busybox","touch","/x"],["run","--rm","--security-opt","apparmor=foo","busybox","true"],
     ["run","--rm","--security-opt","no-new-privileges","busybox","grep","-E","NoNewPrivs|Seccomp|Cap","/proc/self/status"],
     ["run","--rm","busybox","mount"],["run","--rm","--privileged","busybox","mount"],["run","--rm","busybox","cat","/proc/self/cgroup"],["run","--rm","busybox","ls","-la","/dev"],["run","--rm","--privileged","busybox","ls","/dev"],
     ["run","--rm","busybox","cat","/proc/self/limits"],["run","--rm","busybox","cat","/proc/self/mountinfo"],["run","--rm","busybox","sh","-c","cat /proc/self/oom_score_adj; umask; ulimit -a; env; ls -la /proc/self/fd; ls /proc/self/ns; readlink /proc/self/cwd; cat /proc/self/sessionid"],
     ["run","--rm","-t","busybox","sh","-c","tty; stty -a; ls -la /dev/console /dev/tty /dev/pts; cat /proc/self/stat | cut -d' ' -f 4-8"],
     ["run","--rm","-i","busybox","sh","-c","ls -la /proc/self/fd; cat /proc/self/stat | cut -d' ' -f 4-8"],
     ["run","--rm","busybox","cat","/proc/self/status"],
     ["run","--rm","--privileged","busybox","cat","/proc/self/status"],
     ["run","--rm","-u","1000:1000","--cap-add","NET_ADMIN","busybox","cat","/proc/self/status"],
     ["run","--rm","-v","/nonexist/x:/y","busybox","ls","-la","/y"],
     ["run","--rm","--mount","type=bind,src=/nonexist2,dst=/y","busybox","true"],
     ["run","--rm","--tmpfs","/a:size=xyz","busybox","true"],["run","--rm","--tmpfs","/a:size=1m,mode=1770","busybox","sh","-c","stat -c %a /a; grep ' /a ' /proc/mounts"],
     ["run","--rm","--init","busybox","ps"],
     ["run","--rm","--net","host","busybox","cat","/proc/self/mountinfo"],["run","--rm","--pid","host","busybox","true"],["run","--rm","--cgroupns","private","busybox","cat","/proc/self/cgroup"],["run","--rm","--cgroupns","host","busybox","cat","/proc/self/cgroup"],
     ["run","--rm","--stop-signal","WHAT","busybox","true"],
     ["run","--rm","--blkio-weight","300","busybox","true"],["run","--rm","--device-read-bps","/dev/zero:1mb","busybox","true"],["run","--rm","--kernel-memory","64m","busybox","true"],["run","--rm","--memory-swappiness","30","busybox","true"],["run","--rm","--oom-kill-disable","-m","64m","busybox","true"],["run","--rm","--cpu-rt-runtime","1000","busybox","true"],["run","--rm","--memory-reservation","1g","-m","64m","busybox","true"],
     ["run","--rm","--hostname","x.y.z","--domainname","d.o","busybox","sh","-c","hostname; cat /proc/sys/kernel/domainname"],
     ["run","--rm","--dns","1.2.3.4","busybox","cat","/etc/resolv.conf"],
     ["run","--rm","--group-add","22","--group-add","audio9","busybox","id"],["run","--rm","--ulimit","core=0","--ulimit","nproc=50:60","busybox","cat","/proc/self/limits"],
    ]
    def loop(rt):
        out=[]
        for c in cases:
            w=list(c); w.insert(1,"--runtime="+rt)
            r=d(*w,timeout=60); out.append((r.status,norm(r.stdout),norm(r.stderr)))
        # live container
        d("run","-d","--runtime="+rt,"--name","live","-m","64m","--pids-limit","60","busybox","sh","-c","sleep 1000 & exec sleep 2000")
        live=[["exec","live","/nothing"],["exec","live","nothing"],["exec","live","/etc/passwd"],["exec","live","/etc"],["exec","-w","/nowhere","live","pwd"],["exec","-u","nobody9","live","true"],["exec","-u","70:80","live","id"],
          ["exec","live","sh","-c","kill -9 $$"],["exec","live","sh","-c","kill -TERM $$"],["exec","live","cat","/proc/self/status"],["exec","--privileged","live","cat","/proc/self/status"],["exec","live","cat","/proc/self/limits"],["exec","live","sh","-c","ls -la /proc/self/fd; env; cat /proc/self/oom_score_adj; cat /proc/self/cgroup;cat /proc/self/stat | cut -d' ' -f 4-8"],["exec","-t","live","sh","-c","tty; stty -a; ls -la /proc/self/fd; cat /proc/self/stat | cut -d' ' -f 4-8"],
          ["exec","-d","live","/nothing"],
          ["top","live"],["top","live","-o","pid,comm"],["stats","--no-stream","live"],["stats","--no-stream","--format","{{json .}}","live"],
          ["update","-m","4m","live"],["update","--cpuset-cpus","99","live"],["update","--memory","128m","--memory-swap","256m","live"],["update","--pids-limit","30","live"],["update","--cpus","0.2","live"],["update","--cpu-shares","1","live"],["update","--blkio-weight","300","live"],
          ["inspect","-f","{{json .State}}","live"],["inspect","-f","{{json .HostConfig}}","live"],
          ["pause","live"],["exec","live","true"],["pause","live"],["kill","live"],["unpause","live"],["unpause","live"],["kill","-s","BOGUS","live"],["kill","-s","0","live"],["kill","-s","63","live"],["inspect","-f","{{.State.Status}} {{.State.ExitCode}}","live"],
          ["restart","-t","0","live"],["stop","-t","0","live"],["inspect","-f","{{.State.Status}} {{.State.ExitCode}} {{.State.OOMKilled}}","live"],["kill","live"],["start","live"],["checkpoint","create","live","c1"],["rm","live"],["rm","-f","live"]]
        for c in live:
            r=d(*c,timeout=60); out.append((r.status,norm(r.stdout),norm(r.stderr)))
        return out,live
    a,live=loop("nsrun"); b,_=loop("other")
    for c,x,y in zip(cases+live,a,b):
        if x!=y:
            print("####",c)
            if x[0]!=y[0]: print("  STATUS nsrun %s runc %s"%(x[0],y[0]))
            for i,n in ((1,"out"),(2,"err")):
                if x[i]!=y[i]:
                    A=x[i].splitlines();B=y[i].splitlines()
                    for l in A:
                        if l not in B: print("  N",n,l[:500])
                    for l in B:
                        if l not in A: print("  R",n,l[:500])
                    if sorted(A)==sorted(B): print("  order differs",n)
    d.stop()
if __name__=="__main__": main()
