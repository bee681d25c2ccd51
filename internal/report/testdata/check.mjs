// Holds JSON-LD against the shapes of CASE and UCO by two engines that have
// nothing to do with ours. `make case-check` installs what this needs.
//
//     node check.mjs ONTOLOGY FILE…
import fs from 'fs'
import path from 'path'
import rdf from 'rdf-ext'
import jsonld from 'jsonld'
import { Parser } from 'n3'
import SHACLValidator from 'rdf-validate-shacl'
import { Validator } from 'shacl-engine'
import { validations } from 'shacl-engine/sparql.js'

const imports = 'http://www.w3.org/2002/07/owl#imports' // all of them are here
const below = 'http://www.w3.org/2000/01/rdf-schema#subClassOf'
const sparql = 'http://www.w3.org/ns/shacl#sparql' // which one of the engines does not know

const [ontology, ...files] = process.argv.slice(2)
const shapes = rdf.dataset()
for (const name of fs.readdirSync(ontology, { recursive: true }).filter(n => n.endsWith('.ttl'))) {
  const text = fs.readFileSync(path.join(ontology, name), 'utf8')
  for (const q of new Parser({ factory: rdf }).parse(text)) if (q.predicate.value !== imports) shapes.add(rdf.quad(q.subject, q.predicate, q.object))
}

let refused = 0
for (const file of files) {
  const quads = await jsonld.toRDF(JSON.parse(fs.readFileSync(file, 'utf8')), { format: 'application/n-quads', safe: true })
  const data = rdf.dataset(new Parser({ factory: rdf, format: 'N-Quads' }).parse(quads))
  const size = data.size
  for (const q of shapes) if (q.predicate.value === below) data.add(q)
  const plain = rdf.dataset([...shapes].filter(q => q.predicate.value !== sparql))
  const reports = {
    'rdf-validate-shacl': await new SHACLValidator(plain).validate(data),
    'shacl-engine': await new Validator(shapes, { factory: rdf, validations }).validate({ dataset: data })
  }
  for (const [engine, report] of Object.entries(reports)) {
    console.log(`${file}: ${size} triples, ${engine}: ${report.conforms ? 'conforms' : 'does NOT conform'}, ${report.results.length} results`)
    for (const r of report.results) console.log('  ', (r.focusNode?.term ?? r.focusNode)?.value, r.severity?.value, (r.message ?? []).map(m => m.value).join('; '))
    if (!report.conforms) refused++
  }
}
process.exit(refused ? 1 : 0)
