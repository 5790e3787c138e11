const names=process.argv.slice(2)
const rss=()=>process.memoryUsage().rss/1048576
for(const n of names){const c=process.cpuUsage(),r=rss(); await import(n); const d=process.cpuUsage(c); console.log(n,((d.user+d.system)/1000).toFixed(0)+'ms','+'+(rss()-r).toFixed(1)+'MB')}
