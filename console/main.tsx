import { render } from 'preact'
import { readFacts } from './api/facts.ts'
import { App } from './app/app.tsx'
import { applyScheme, savedScheme } from './app/scheme.ts'
import './styles/base.css'
import './styles/frame.css'
import './styles/parts.css'
import './styles/requests.css'

applyScheme(savedScheme())
render(<App facts={readFacts()} />, document.getElementById('app')!)
