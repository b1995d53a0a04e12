import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync, mkdirSync } from 'node:fs';
import { BUILTINS } from '../src/policy/builtins/all.ts';
import { createEvaluator } from '../src/policy/plan/evaluator.ts';
import { readPlan } from '../src/policy/plan/plan-reader.ts';
import { translatePlan } from '../src/policy/plan/translate.ts';
import { toJsonText } from '../src/policy/values/json-text.ts';
import { parseJson } from '../src/policy/values/json.ts';
Object.freeze(Object.prototype);
const exprs: string[] = JSON.parse(readFileSync(process.argv[2]!, 'utf8'));
function wrap(e:string){ const m=/^([\w.]+)\((.*)\)$/s.exec(e); if(!m) return e; const args:string[]=[]; let depth=0,q=false,cur=''; for(let i=0;i<m[2]!.length;i++){ const c=m[2]![i]!; if(q){ cur+=c; if(c==='\\') cur+=m[2]![++i]; else if(c==='"') q=false; continue } if(c==='"') q=true; if('([{'.includes(c)) depth++; if(')]}'.includes(c)) depth--; if(c===','&&depth===0){ args.push(cur); cur='' } else cur+=c } args.push(cur); return `${m[1]}(${args.map(a=>`object.get({},"q",${a})`).join(',')})` }
const dir='/tmp/sp/b2diff'; mkdirSync(dir,{recursive:true});
let same=0;
const src='package t\n'+exprs.map((e,i)=>`e${i} := x if { x := ${wrap(e)} }`).join('\n');
writeFileSync(dir+'/t.rego',src);
const chk=spawnSync('/work/main/.tools/bin/opa',['build','-t','plan','-o',dir+'/b.tar.gz',...exprs.flatMap((_, i)=>['-e',`t/e${i}`]),dir+'/t.rego'],{encoding:'utf8'}); if(chk.status) { console.log('STATUS',chk.status,chk.error,chk.stdout.slice(0,3000),chk.stderr.slice(0,3000)); process.exit(1) }
execFileSync('tar',['xzf',dir+'/b.tar.gz','-C',dir,'/plan.json']);
const ev=createEvaluator({translation:translatePlan(readPlan(readFileSync(dir+'/plan.json'))),builtins:BUILTINS});
exprs.forEach((e,i)=>{ let mine; try { const r:any=ev.evaluate(`t/e${i}`,undefined,{},{at:{epochMs:0} as any,strict:true,randomFor:()=>new Uint8Array(32),budget:{steps:1e12,exhausted(){throw new Error('budget')}}}); mine=r.length?toJsonText(r[0].result):'undefined'; } catch(x:any){ mine='ERR '+x.code+': '+x.message }
 const o=spawnSync('/work/main/.tools/bin/opa',['eval','--strict-builtin-errors','-f','json','-d',dir+'/t.rego',`data.t.e${i}`],{encoding:'utf8'}); let theirs; const p:any=parseJson(o.stdout); if(!p) theirs='CRASH'; else if(p.errors) theirs='ERR '+p.errors[0].code+': '+p.errors[0].message; else theirs=p.result? toJsonText(p.result[0].expressions[0].value):'undefined';
 if(mine===theirs || (mine.replace(/set\(\)/g,'[]').replace(/[{}]/g,'')===theirs.replace(/[{}[\]]/g,'')) || norm(mine)===norm(theirs)) same++; else console.log(e,'\n   mine  ',mine,'\n   theirs',theirs); });
function norm(s:string){ return s.replace(/[{}[\]]|set\(\)/g,'') }
console.log(same,'of',exprs.length,'same');
