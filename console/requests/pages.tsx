import type { Page } from '../app/page.ts'
import { Compare } from './compare.tsx'
import { Requests } from './requests.tsx'

/** The pages of whoever looks at requests. */
export const REQUEST_PAGES: readonly Page[] = [
  { name: 'requests', title: 'Requests', letter: 'q', show: props => <Requests {...props} /> },
  {
    name: 'compare',
    title: 'Side by side',
    letter: '',
    show: ({ rest }) => <Compare a={rest[0] ?? ''} b={rest[1] ?? ''} />,
    isHidden: true,
  },
]
